"""Formulas of declared costs, and their comparison with what is measured."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_toy import Toy, words

from argot.errors import ProgramError
from argot.runtime import cost, gather, scope
from argot.runtime.conformance import Case, check_costs
from argot.runtime.meter import Formula, Record, log2
from argot.runtime.world import World


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 + log2(k)", 8),
        ("4*k - 2", 254),
        ("k/3", Fraction(64, 3)),
        ("2 if n < 4096 else 3", 2),
        ("max(l, 2**5) // 3 % 7", 0),
        ("-1 + ceil(k/3) - floor(k/3)", 0),
        ("1 if k == 64 and not n > 100 or l != 64 else 0", 1),
    ],
)
def test_formulas(text, value):
    assert Formula(text)({"k": 64, "n": 100, "l": 64}) == value


@given(st.integers(1, 2**70))
def test_log2_counts_the_levels_of_a_tree(x):
    levels, leaves = 0, 1
    while leaves < x:
        leaves, levels = leaves * 2, levels + 1
    assert log2(x) == levels


@pytest.mark.parametrize("text", ["k.real", "open('x')", "[k]", "1.5", "min(*k)", "'a'"])
def test_formulas_hold_nothing_else(text):
    with pytest.raises(ProgramError):
        Formula(text)({"k": 1})


def test_a_missing_variable_is_named():
    with pytest.raises(ProgramError, match=r"uses width\n  wanted: one of k, n"):
        Formula("width + k")({"k": 1, "n": 2})


async def two_shares(p):
    return await gather(*(p.share(words(64) if p.party.rank == 0 else None, 0, (64,)) for _ in range(2)))


async def mul_case(p) -> Case:
    return Case(tuple(await two_shares(p)), 64)


async def product_case(p) -> Case:
    pair = await two_shares(p)
    return Case(([*pair, *pair, pair[0]],), 64, variables={"m": 5})


CASES = {"mul": mul_case, "product": product_case}


def test_declared_is_measured():
    mul, product = check_costs(Toy, CASES)
    assert (mul.name, mul.rounds, mul.bits) == ("mul", 1, 192)
    assert (product.rounds, product.bits) == (3, 4 * 192)
    assert str(mul) == "mul: declared 1 rounds, 192 bits; measured 1 rounds, 192 bits"


def test_there_is_no_opting_out():
    with pytest.raises(ProgramError, match="no cost case for product"):
        check_costs(Toy, {"mul": mul_case})


def test_a_wrong_declaration_is_an_error():
    class Cheap(Toy):
        @cost(rounds="1", bits="2*k")
        async def mul(self, x, y):
            return await Toy.mul.__wrapped__(self, x, y)

        @cost(rounds="2", bits="0")
        async def idle(self):
            return None

    async def idle_case(p):
        return Case((), 1)

    with pytest.raises(ProgramError) as caught:
        check_costs(Cheap, CASES | {"idle": idle_case})
    assert "mul: declared 1 rounds, 128 bits; measured 1 rounds, 192 bits" in str(caught.value)
    assert "idle: declared 2 rounds, 0 bits; measured 0 rounds, 0 bits" in str(caught.value)


def test_functions_outside_the_protocol_are_measured_too():
    @cost(rounds="2", bits="6*k")
    async def cube(p, x):
        return await p.mul(await p.mul(x, x), x)

    async def case(p):
        return Case((await p.share(words(64) if p.party.rank == 0 else None, 0, (64,)),), 64)

    assert [m.name for m in check_costs(Toy, CASES | {"cube": case}, {"cube": cube})] == ["cube", "mul", "product"]


def test_records_follow_the_calls():
    async def program(p, x):
        share = await p.share(x, 0, (2,))
        with scope(p.party, "epoch"):
            await gather(p.product([share] * 4), p.mul(share, share))
        await p.mul(share, share)

    world = World(Toy)
    world.run(program, [words(2), None, None])
    rows = {row["path"]: row for row in world.record.rows()}
    assert list(rows) == ["", "epoch", "epoch/product", "epoch/product/mul", "epoch/mul", "mul"]
    # party 0 sends the first share and receives nothing, so the round of sharing reaches it within the epoch
    assert rows["epoch"]["rounds"] == 3 and rows["epoch"]["messages"] == 12 and rows["epoch"]["bytes"] == 12 * 16
    assert rows["epoch/product/mul"]["calls"] == 3 and rows["mul"]["messages"] == 3
    assert rows[""]["bytes"] * 8 == world.bits


def test_records_add_up():
    one, two = Record(), Record()
    one.child("a").bits, two.child("a").bits, two.child("b").rounds = 8, 16, 2
    assert one.merge(two).total("bits") == 24 and one.child("b").rounds == 2
