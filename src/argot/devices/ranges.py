"""The limits that a schema declares, checked where the data is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .schema import Schema, Tensor, leaves, walk


def check(value: Any, schema: Schema) -> None:
    """InputError if an element lies outside of its declared range, or is NaN. It says where and what: for the owner."""
    for path, leaf in leaves(schema):
        if not isinstance(leaf, Tensor) or leaf.low is leaf.high is None:
            continue
        array = np.asarray(walk(value, path))
        index = _outside(array, leaf) if array.size else None
        if index is not None:
            name = "".join(f"[{step!r}]" for step in path)
            place = ", ".join(str(i) for i in np.unravel_index(index, array.shape))
            raise InputError(
                f"the value{name and f' of {name}'}{place and f' at index ({place})'} is {array.flat[index].item()!r}",
                wanted=str(leaf),
                todo="clip or drop such rows where the data is loaded, or declare a wider range",
            )


def _outside(array: np.ndarray[Any, Any], leaf: Tensor) -> int | None:
    """The flat index of an element outside. Python compares integers with floats exactly; NaN is both extremes."""
    lowest, highest = int(np.argmin(array)), int(np.argmax(array))
    if leaf.low is not None and not array.flat[lowest].item() >= leaf.low:
        return lowest
    return highest if leaf.high is not None and not array.flat[highest].item() <= leaf.high else None
