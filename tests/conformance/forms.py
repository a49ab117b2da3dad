"""The protocols as parameters of tests. Many parties in one process take long: those run with the slow tests."""

from __future__ import annotations

from typing import Any

import pytest

from argot import mpc


def forms(hiding: bool = False) -> list[Any]:
    """All forms of all protocols; without the reference, which hides nothing, if `hiding`."""
    return [
        pytest.param(form, id=repr(form), marks=[pytest.mark.slow] if form.parties > 3 else [])
        for form in mpc.forms()
        if form.parties > 1 or not hiding
    ]
