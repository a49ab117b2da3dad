"""Formulas of declared costs, and their comparison with what is measured."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_toy import Toy, words

from argot.errors import ProgramError
from argot.runtime import cost, gather, scope
from argot.runtime.conformance import Case, check_costs, operations_of
from argot.runtime.meter import Chains, Cost, Formula, Record, declared, log2
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


async def share_case(p) -> Case:
    return Case((words(64) if p.party.rank == 0 else None, 0, (64,)), 64)


async def reveal_case(p) -> Case:
    return Case((await p.share(words(64) if p.party.rank == 0 else None, 0, (64,)),), 64)


CASES = {"mul": mul_case, "product": product_case, "share": share_case, "reveal": reveal_case}


class Priced(Toy):
    """The toy with a cost for every operation."""

    share = cost(rounds="1", bits="2*k")(Toy.share)
    reveal = cost(rounds="1", bits="3*k")(Toy.reveal)


def test_declared_is_measured():
    mul, product, _, _ = check_costs(Priced, CASES)
    assert (mul.name, mul.rounds, mul.bits) == ("mul", 1, 192)
    assert (product.rounds, product.bits) == (3, 4 * 192)
    assert str(mul) == "mul: declared 1 rounds, 192 bits; measured 1 rounds, 192 bits"


def test_there_is_no_opting_out():
    with pytest.raises(ProgramError, match="no cost case for product"):
        check_costs(Priced, {"mul": mul_case, "share": share_case, "reveal": reveal_case})
    with pytest.raises(ProgramError, match="reveal, share of Toy declare no cost"):
        check_costs(Toy, CASES)
    assert list(operations_of(Priced)) == ["mul", "product", "reveal", "share"]


def test_a_wrong_declaration_is_an_error():
    class Cheap(Priced):
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

    measured = check_costs(Priced, CASES | {"cube": case}, {"cube": cube})
    assert [m.name for m in measured] == ["cube", "mul", "product", "reveal", "share"]


# ---- composed costs -------------------------------------------------------------------------------------------------


class Made:
    """Operations of which some are made of others; party 0 of three only sends."""

    @cost(rounds="sends(0, 2) + gather(sends(1, 2), sends(2, 1))", bits="4*k")
    async def ahead(self):
        """Two rounds."""

    @cost(rounds="2", bits="l")
    async def all(self):
        """Two rounds in which everybody waits for everybody."""

    @cost("ahead()")
    async def same(self):
        """As `ahead`."""


def third(k):
    return k // 3


def uneven(n):
    return [n // 6, n // 3, n // 2]


async def plain(k):
    """No cost, and nothing that a formula may call."""


@cost("all(l=third(l)) + Made.ahead()")
async def beside(p):
    """A function of this module."""


def evaluated(text):
    return Cost(Formula(text), Formula(text), globals()).evaluate(Made, {"k": 64, "l": 30, "n": 60, "p": 3, "w": 5})


@pytest.mark.parametrize(
    ("text", "rounds", "bits"),
    [
        ("same()", 2, 256),
        ("all(l=l-3)", 2, 27),
        ("all(l=third(l) + given(q, w) + given(w, 0))", 2, 20),
        ("ahead() + same()", 3, 512),  # what party 0 sends of the second is there when the first ends
        ("3*ahead()", 4, 768),
        ("ahead() + all()", 4, 286),
        ("all() + ahead()", 4, 286),
        ("gather(all(), all(), ahead())", 2, 316),
        ("gather(all() + ahead(), 0) + (ahead() if w == 4 else 0)", 4, 286),
        ("beside() + 0*all()", 4, 266),
        ("in_parts(all(l=n) + all(), uneven(n), 2)", 8, Fraction(160, 3)),
        ("in_parts(all(l=n), uneven(n), 3)", 2, Fraction(70, 3)),
    ],
)
def test_composed_costs(text, rounds, bits):
    assert evaluated(text) == (rounds, bits)


@pytest.mark.parametrize(
    "text", ["nothing()", "all(3)", "third(k=3)", "open('x')", "gather(k=1)", "all(**k)", "Made()"]
)
def test_what_formulas_may_not_call(text):
    with pytest.raises((ProgramError, TypeError)):
        evaluated(text)


def test_a_cost_has_rounds_and_bits():
    with pytest.raises(ProgramError):
        cost(rounds="1")
    assert declared(Made.same).rounds.names == frozenset() and repr(declared(beside).bits).startswith("all(l=third(l))")


def test_chains():
    sends = Chains.sends(0, 1, 3)
    assert (sends + sends).longest == 1 and (sends + Chains.sends(1, 2, 3)).longest == 2
    assert (sends | Chains.sends(1, 2, 3)).longest == 1 and (0 + sends).length == sends.length
    assert (sends + 1 + sends).longest == 3 and (2 * sends | 1).longest == 1


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
