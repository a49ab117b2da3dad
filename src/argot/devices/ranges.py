"""The limits that a schema declares, checked where the data is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .schema import Schema, Tensor, leaves, walk


def check(value: Any, schema: Schema) -> None:
    """InputError if an element lies outside of its declared range, or is NaN. It says where and what: for the owner."""
    for path, leaf in leaves(schema):
        if isinstance(leaf, Tensor) and not leaf.low is leaf.high is None:
            _check_one(np.asarray(walk(value, path)), leaf, "".join(f"[{step!r}]" for step in path))


def _check_one(array: np.ndarray[Any, Any], leaf: Tensor, name: str) -> None:
    """Python compares integers with floats exactly; NaN is the smallest and the largest element, and in no range."""
    if not array.size:
        return
    for index, inside in (
        (int(np.argmin(array)), lambda v: leaf.low is None or v >= leaf.low),
        (int(np.argmax(array)), lambda v: leaf.high is None or v <= leaf.high),
    ):
        found = array.reshape(-1)[index].item()
        if found != found or not inside(found):
            at = ", ".join(str(i) for i in np.unravel_index(index, array.shape)) if array.ndim else "()"
            raise InputError(
                f"the value{name and f' of {name}'} at index ({at}) is {found!r}",
                wanted=str(leaf),
                todo="clip or drop such rows where the data is loaded, or declare a wider range",
            )
