"""No mask is ever used twice: one program run on x and on x + 1 leaves messages that tell nothing of each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from struct import unpack_from
from typing import Any

import numpy as np
import pytest
from forms import is_alone, is_slow

from argot import mpc
from argot.mpc import derived
from argot.runtime.world import World

N = 4096
FORMS = [form for form in mpc.forms() if form.parties > 1]
Operation = Callable[[Any, Any, Any], Awaitable[Any]]

OPERATIONS: dict[str, Operation] = {
    "mul": lambda p, x, y: p.mul(x, y),
    "mul_trunc": lambda p, x, y: p.mul_trunc(x, y, 18),
    "trunc": lambda p, x, y: p.trunc(x, 18),
    "msb": lambda p, x, y: p.msb(x),
    "msb by keys": lambda p, x, y: p._sign_by_keys(x, 64),
    "equal": lambda p, x, y: p.equal(x, y),
    "a2b": lambda p, x, y: p.a2b(x, 32),
    "exp": lambda p, x, y: derived.exp(p, x),
    "sigmoid": lambda p, x, y: derived.sigmoid(p, x),
    "sin": lambda p, x, y: derived.sin(p, x),
}

MARKS: list[Any] = [[], [pytest.mark.slow]]
CASES = [
    pytest.param(
        name, form, id=f"{name}-{form!r}", marks=[pytest.mark.slow] if is_alone(form) and is_slow(form) else []
    )
    for form in FORMS
    for name in OPERATIONS
    if name != "msb by keys" or (form.dealer and form.parties == 3)
]


def transcript(world: World, operation: Operation, x: np.ndarray, y: np.ndarray) -> dict[tuple, bytes]:
    """Every message of one run by sender, receiver and name."""
    messages: dict[tuple, bytes] = {}

    def note(sender: int, receiver: int, packet: bytes) -> list[bytes]:
        offset = 0
        while offset < len(packet):
            (size,) = unpack_from("<Q", packet, offset + 24)
            name = (sender, receiver, packet[offset : offset + 20])
            head = world.heads.get(name, 0)
            if size > head:
                messages[name] = packet[offset + 32 + head : offset + 32 + size]
            offset += 32 + size + (-size % 8)
        return [packet]

    world.intercept = note

    async def program(p: Any) -> None:
        first = await p.share(x if p.party.rank == 0 else None, 0, x.shape)
        second = await p.share(y if p.party.rank == 1 else None, 1, y.shape)
        await operation(p, first, second)

    world.run(program)
    return messages


def whole_words(payload: bytes) -> np.ndarray:
    return np.frombuffer(payload[: len(payload) // 8 * 8], "<u8")


@pytest.mark.parametrize(("name", "form"), CASES)
def test_runs_on_neighbouring_inputs_differ_like_noise(name: str, form: mpc.Form) -> None:
    """With a mask used twice, x + r and x + 1 + r would share all but a few low bits."""
    world = World(form, n=form.parties, seed=3)
    x, y = np.arange(N, dtype=np.uint64) << np.uint64(20), np.full(N, 5 << 18, np.uint64)
    first = transcript(world, OPERATIONS[name], x, y)
    second = transcript(world, OPERATIONS[name], x + np.uint64(1), y)
    assert first.keys() == second.keys()
    assert len(first) >= 2
    for message, payload in first.items():
        other = second[message]
        assert len(other) == len(payload) >= N // 8
        different = np.unpackbits(np.frombuffer(payload, np.uint8) ^ np.frombuffer(other, np.uint8))
        # The number of differing bits is binomial: six standard deviations around half.
        assert abs(int(different.sum()) - different.size / 2) < 3 * different.size**0.5, message
        words = whole_words(other) - whole_words(payload)
        assert np.unique(words).size == words.size, "a difference that repeats"


@pytest.mark.parametrize(("name", "form"), CASES)
def test_no_message_repeats_within_a_run(name: str, form: mpc.Form) -> None:
    """Equal inputs everywhere, yet no 8 bytes are sent twice."""
    world = World(form, n=form.parties, seed=4)
    x = np.zeros(N, np.uint64)
    messages = transcript(world, OPERATIONS[name], x, x)
    told = {(sender, name): message for (sender, _, name), message in messages.items()}  # once, to however many
    sent = np.concatenate([whole_words(message) for message in told.values()])
    assert np.unique(sent).size == sent.size
