"""The protocols as parameters of tests. Many parties in one process take long, and so do transfers between them: those
run with the slow tests. Of two parties alone Cheetah does not; Semi2k differs from it in its products only."""

from __future__ import annotations

from typing import Any

import pytest

from argot import mpc


def forms(hiding: bool = False) -> list[Any]:
    """All forms of all protocols; without the reference, which hides nothing, if `hiding`."""
    return [
        pytest.param(form, id=repr(form), marks=[pytest.mark.slow] if is_slow(form) else [])
        for form in mpc.forms()
        if form.parties > 1 or not hiding
    ]


def is_slow(form: Any) -> bool:
    """Whether its tests are slow ones."""
    return form.parties > 3 or (is_alone(form) and form.protocol.__name__ == "Semi2k")


def on_pages() -> list[Any]:
    """The forms that pages have a column of: Semi2k alone does what Cheetah does, but for products."""
    return [form for form in mpc.forms() if not (is_alone(form) and is_slow(form))]


def is_alone(form: Any) -> bool:
    """Whether its correlations come from transfers between pairs of parties."""
    return not form.repeats
