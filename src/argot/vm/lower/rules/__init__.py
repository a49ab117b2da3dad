"""One function for each JAX primitive, found by name.

A rule is a public function of a file in this folder: `dot_general(b, x, y, *, dimension_numbers, **_)` takes the
builder, operands and the primitive's parameters, and returns the result or a list of results. Names that Python
reserves end with an underscore; `-` becomes `_`. Each carries examples (`@example`), which the conformance suite
runs on every device, and a docstring whose first line is its entry in `docs/reference/primitives.md`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from types import FunctionType
from typing import Any

Rule = Callable[..., Any]


@functools.cache
def every() -> dict[str, Rule]:
    """All rules by primitive, in alphabetical order."""
    found: dict[str, Rule] = {}
    for info in iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        for name, value in vars(module).items():
            own = isinstance(value, FunctionType) and value.__module__ == module.__name__
            if own and not name.startswith("_"):
                found[name.removesuffix("_")] = value
    return dict(sorted(found.items()))


def find(primitive: str) -> Rule | None:
    """The rule of a primitive, by its name."""
    return every().get(primitive.replace("-", "_"))
