"""A party that changes what it sends: every message of every operation of every protocol.

Changes of a message's name, number or length are always noticed. What only its content could tell is the exposure of
protocols that are secure against parties which follow the program: docs/reference/tampering.md lists it.
"""

from __future__ import annotations

from typing import Any

import pytest
import tampering
from forms import is_alone, is_slow, on_pages
from tampering import DEPTHS, LENGTHS, NAMES, SIZES, Operation, drop, replay, swap

from argot.errors import ArgotError, Deadlock, FrameError, ProgramMismatch

REMAKE = "run: PYTHONPATH=tests/conformance python tests/attacks/tampering.py > docs/reference/tampering.md"
SOME, ALL = tampering.MOST, 1 << 30
OPERATIONS = [
    pytest.param(form, name, id=f"{name}-{form!r}", marks=[pytest.mark.slow] if is_slow(form) or is_alone(form) else [])
    for form in tampering.hiding()
    for name in tampering.operations(form)
]
ON_PAGE = [case for case in OPERATIONS if case.values[0] in on_pages()]
MOST = [SOME, pytest.param(ALL, marks=pytest.mark.slow)]


def names_message(error: ArgotError | str, sender: int, *kinds: type[ArgotError]) -> None:
    """Whether it is an error of these kinds that names the sender."""
    assert isinstance(error, kinds), error
    assert f"party {sender}" in str(error)


@pytest.mark.parametrize("most", MOST, ids=["some", "all"])
@pytest.mark.parametrize(("form", "name"), OPERATIONS)
def test_another_length_is_named(form: Any, name: str, most: int) -> None:
    operation = Operation(form, name)
    for message in operation.sample(most):
        for change in SIZES:
            names_message(operation.outcome({message.name: change}), message.name[0], FrameError)
        other = operation.partner(message, same=False)
        if other is not None:
            names_message(operation.outcome(swap(message, other)), message.name[0], FrameError)


@pytest.mark.parametrize("most", MOST, ids=["some", "all"])
@pytest.mark.parametrize(("form", "name"), OPERATIONS)
def test_a_message_that_is_lost_or_repeated_is_named(form: Any, name: str, most: int) -> None:
    """As agents run it, and with the checks of tests, which know the message."""
    plain, debug = Operation(form, name), Operation(form, name, debug=True)
    for message in plain.sample(most):
        sender, receiver, _ = message.name
        assert isinstance(plain.outcome({message.name: drop}), Deadlock)
        lost = debug.outcome({message.name: drop})
        names_message(lost, sender, Deadlock)
        assert "which was lost" in str(lost) and f"party {receiver} waits for message" in str(lost)
        names_message(plain.outcome({message.name: replay}), sender, FrameError, ProgramMismatch)
        twice = debug.outcome({message.name: replay})
        names_message(twice, sender, FrameError)
        assert "twice" in str(twice)


@pytest.mark.parametrize("most", MOST, ids=["some", "all"])
@pytest.mark.parametrize(("form", "name"), OPERATIONS)
def test_a_header_that_is_changed_is_an_error_or_nothing(form: Any, name: str, most: int) -> None:
    operation = Operation(form, name)
    for message in operation.sample(most):
        for change in NAMES + LENGTHS:
            found = operation.outcome({message.name: change})
            assert isinstance(found, FrameError | Deadlock | ProgramMismatch), found
        for change in DEPTHS:
            assert operation.outcome({message.name: change}) == "none"


@pytest.mark.parametrize(("form", "name"), ON_PAGE)
def test_what_is_not_noticed_is_on_the_page(form: Any, name: str) -> None:
    assert tampering.documented()[repr(form), name] == tampering.measure(form, name), REMAKE


@pytest.mark.slow
@pytest.mark.parametrize(("form", "name"), ON_PAGE)
def test_what_is_not_noticed_of_any_message_is_on_the_page(form: Any, name: str) -> None:
    operation, found = Operation(form, name), {"none"}
    for message in operation.messages:
        found |= {tampering.outcome(operation, changes) for changes in tampering.forgeries(operation, message)}
    cell = tampering.documented()[repr(form), name]
    assert found - {"none"} == set(cell.split(", ")) - {"none", "silent"}, REMAKE


def test_the_page_has_exactly_these_operations() -> None:
    documented = tampering.documented()
    page = tampering.INTRODUCTION.format(most=SOME) + tampering.table(lambda form, name: documented[repr(form), name])
    assert tampering.PAGE.read_text() == page, REMAKE


def test_an_operation_is_repeated_and_an_honest_wire_changes_nothing() -> None:
    """Else the tests above could find no difference, or nothing but differences."""
    form = tampering.hiding()[0]
    operation = Operation(form, "mul_trunc")
    assert operation.outcome({}) == "none"
    message = operation.messages[0]
    assert operation.outcome({message.name: tampering.flip(-1)}) == "wrong"
    assert {m.name[:2] for m in operation.messages} == {m.name[:2] for m in operation.sample(1)}
