"""Functions as users call them: on every protocol, against JAX, within the error of the case and of the page.

The list is in `functions.py`; a protocol in `argot/mpc` is picked up by itself.
"""

from __future__ import annotations

import pytest
from forms import forms, on_pages
from function_table import PAGE, documented, measure, read, refusal, table
from functions import FUNCTIONS, MISSING

from argot.errors import ProgramError

REMAKE = "run: python tests/conformance/function_table.py > docs/reference/functions.md"
DOCUMENTED = documented()


@pytest.mark.parametrize("protocol", forms())
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_function(function, protocol):
    error = measure(function, protocol)
    column = repr(protocol) if protocol in on_pages() else "cheetah"
    promised = read(DOCUMENTED[function.name, column])
    assert (error is None) == (promised is None), REMAKE
    if error is not None:
        assert error <= function.error
        # Where runs do not repeat, errors in the last place fall otherwise each time.
        assert error <= promised * (1 + 1e-6) or not protocol.repeats, REMAKE


@pytest.mark.parametrize("missing", MISSING, ids=lambda m: m.name)
def test_what_there_is_not_is_a_clear_error(missing):
    error = refusal(missing)
    assert isinstance(error, ProgramError)
    assert missing.reason in str(error) and error.todo and error.where


def test_the_page_has_exactly_these_functions():
    """Errors apart, which the tests above compare: they may be smaller than on the page."""
    assert len({f.name for f in FUNCTIONS}) == len(FUNCTIONS)
    assert PAGE.read_text().endswith(table(lambda f, protocol: DOCUMENTED[f.name, repr(protocol)])), REMAKE
