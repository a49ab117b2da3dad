"""Plans of carry circuits: which positions and ranges are joined when, for `Aby3` and the kernels `kernels_carry`.

Positions of the two addends are taken in blocks of three (the lowest block has what is left over), whose carries
(G, P) come from a first stage, the leaves. Then ranges are joined three at a time:

* `top(l)`   the carry into bit l-1 alone: a tree;
* `word(w)`  the carry into every one of w bits: a prefix tree (Sklansky's with three branches) over the blocks, then
             one more stage for the carries within the blocks;
* `zero(l)`  whether all l bits pass, which is equality: a tree of P's.

The formulas below count what the plans do: bits over all parties for one element (a product of the first addend's
bits costs 1, an output 2), and the stages whose outputs parties 1 and 2 exchange.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

Table = np.ndarray[Any, np.dtype[np.int64]]

_LEVELS = "({b} > 1) + ({b} > 3) + ({b} > 9) + ({b} > 27)"
_LAST_OF_TWO = "({b} == 2 or ({b} > 3 and {b} <= 6) or ({b} > 9 and {b} <= 18) or ({b} > 27 and {b} <= 54))"
_SHARED = "7*({p} // 3) + 2**({p} % 3) - 1"  # products of p positions


def _formula(text: str, positions: str) -> str:
    return text.replace("{p}", positions).replace("{b}", f"ceil({positions}/3)")


# Bounds beyond the ring, or too small for a sign, are taken for what they can be.
_TOP, _ZERO = "(max(2, min(l, k)) - 1)", "max(1, min(l, k))"
TOP_STAGES = _formula(f"1 + {_LEVELS}", _TOP)
TOP_BITS = _formula(f"{_SHARED} + 1 + 2*(2*{{b}} - 1) + 6*({{b}} - 1) - 5*({_LEVELS}) + 2*{_LAST_OF_TWO}", _TOP)
ZERO_STAGES = _formula(f"1 + {_LEVELS}", _ZERO)
ZERO_BITS = _formula(f"{_SHARED} + 2*{{b}} + 3*({{b}} - 1)", _ZERO)


# In a stage that joins groups of t blocks, the second group of three costs 6 a block and the third 12, but 3 and 7
# where they are the lowest, where no carry comes in.
def _stage(t: int) -> str:
    def third(which: int) -> str:
        return f"({{b}} // {3 * t} * {t} + min(max({{b}} % {3 * t} - {which * t}, 0), {t}))"

    def lowest(which: int) -> str:
        return f"min(max({{b}} - {which * t}, 0), {t})"

    return f"6*{third(1)} - 3*{lowest(1)} + 12*{third(2)} - 5*{lowest(2)}"


_STAGES = " + ".join(_stage(t) for t in (1, 3, 9, 27))
_LOWEST = "((w-1) % 3 - 1 if (w-1) % 3 else 2)"  # carries within the lowest block
WORD_STAGES = _formula(f"0 if w == 1 else 1 + {_LEVELS} + ({{b}} > 1)", "(w-1)")
WORD_BITS = _formula(
    f"1 if w == 1 else {_SHARED} + 1 + 2*(2*{{b}} - 1) + 2*{_LOWEST} + {_STAGES} + 7*({{b}} - 1)", "(w-1)"
)


@dataclass(frozen=True)
class Level:
    """Joins that run at once: jobs for the kernels, the rows of the state that they write."""

    jobs: Table
    rows: Table
    products: int
    outputs: int


@dataclass(frozen=True)
class Plan:
    """What to compute; see the module.

    Rows of the state are the outputs of the leaves. `result` is the row of the single result, as a slice. `plain[i]`
    is the row of the leaves' products that is bit i of the first addend. After the levels, row `carriers[j]` is the
    carry into position `carried[j]`, and output j of `inner` that into `within[j]`.
    """

    leaves: Table
    leaf_products: int
    leaf_outputs: int
    levels: tuple[Level, ...]
    result: slice
    plain: Table
    inner: Table
    carried: Table
    carriers: Table
    within: Table


@dataclass(frozen=True)
class _Range:
    """A range of positions: rows of its G and P."""

    generate: int
    pass_: int


def _table(rows: Sequence[Sequence[int]], columns: int) -> Table:
    return np.array(rows, np.int64).reshape(len(rows), columns)


def _index(values: Sequence[int]) -> Table:
    return np.array(values, np.int64)


@lru_cache
def top(width: int) -> Plan:
    """The carry into bit width-1 of the sum of two words; width >= 2."""
    return _plan(width - 1, width, words=False)


@lru_cache
def word(width: int) -> Plan:
    """The carries into all bits of the sum of two words; width >= 1."""
    return _plan(width - 1, width, words=True)


@lru_cache
def zero(width: int) -> Plan:
    """Whether u ^ v is all ones in `width` bits; width >= 1."""
    blocks = _blocks(width)
    leaves = [(start, size, 0, 1, 0) for start, size in blocks]
    levels, ranges = [], [_Range(-1, row) for row in range(len(blocks))]
    while len(ranges) > 1:
        groups = [ranges[i : i + 3] for i in range(0, len(ranges), 3)]
        levels.append(_level([_join(group) for group in groups if len(group) > 1]))
        ranges = [group[-1] for group in groups]
    return _finish(leaves, width, levels, ranges[0].pass_)


def _plan(positions: int, width: int, words: bool) -> Plan:
    blocks = _blocks(positions)
    leaves, ranges, carried, carriers, row = [], [], [], [], 0
    for j, (start, size) in enumerate(blocks):
        inner = words and j == 0
        leaves.append((start, size, 1, int(j > 0), int(inner)))
        ranges.append(_Range(row, row + 1 if j else -1))
        carried.append(start + size)
        carriers.append(row)
        row += 1 + (j > 0)
        for i in range(size - 1 if inner else 0):
            carried.append(start + 1 + i)
            carriers.append(row)
            row += 1
    leaves.append((positions, 1, 0, 0, 0))
    if not words:
        levels, result = _tree(ranges)
        return _finish(leaves, width, levels, result)
    inner_jobs, within = [], []
    for j, (start, _) in enumerate(blocks[1:], 1):
        share = sum(2**size - 1 for _, size in blocks[:j])
        inner_jobs.append((start, share, ranges[j - 1].generate))
        within += [start + 1, start + 2]
    return _finish(leaves, width, _prefixes(ranges), -1, inner_jobs, carried, carriers, within)


def _blocks(positions: int) -> list[tuple[int, int]]:
    """(start, size) of each block, from low to high."""
    sizes = ([positions % 3] if positions % 3 else []) + [3] * (positions // 3)
    return [(sum(sizes[:j]), size) for j, size in enumerate(sizes)]


def _tree(ranges: list[_Range]) -> tuple[list[Level], int]:
    levels = []
    while len(ranges) > 1:
        groups = [ranges[i : i + 3] for i in range(0, len(ranges), 3)]
        levels.append(_level([_join(group) for group in groups if len(group) > 1]))
        ranges = [group[-1] for group in groups]
        if ranges:
            ranges[0] = _Range(ranges[0].generate, -1)
    return levels, ranges[0].generate


def _prefixes(ranges: list[_Range]) -> list[Level]:
    """After the last level the G of block j is the carry out of it."""
    levels, t = [], 1
    while t < len(ranges):
        joins = []
        for j, high in enumerate(ranges):
            base, third = j - j % (3 * t), j // t % 3
            if third == 0:
                continue
            low = ranges[base + t - 1]
            low = _Range(low.generate, low.pass_ if base else -1)
            if third == 1:
                joins.append(_join([low, high]))
            else:
                joins.append(_join([low, ranges[base + 2 * t - 1], high]))
        levels.append(_level(joins))
        t *= 3
    return levels


def _join(group: list[_Range]) -> tuple[int, ...]:
    """A job: (G, P) of the high, the middle and the low range."""
    low, high = group[0], group[-1]
    middle = group[1] if len(group) == 3 else _Range(-1, -1)
    return (high.generate, high.pass_, middle.generate, middle.pass_, low.generate, low.pass_)


def _level(joins: list[tuple[int, ...]]) -> Level:
    rows, products = [], 0
    for gh, ph, _, pm, _, pl in joins:
        carry, pass_ = gh >= 0, pl >= 0
        rows += ([gh] if carry else []) + ([ph] if pass_ else [])
        if pm < 0:
            products += carry + pass_
        elif carry:
            products += 8 if pass_ else 5
        else:
            products += 4
    return Level(_table(joins, 6), _index(rows), products, len(rows))


def _finish(
    leaves: Sequence[tuple[int, ...]],
    width: int,
    levels: list[Level],
    result: int,
    inner: Sequence[Sequence[int]] = (),
    carried: Sequence[int] = (),
    carriers: Sequence[int] = (),
    within: Sequence[int] = (),
) -> Plan:
    plain, products, outputs = [0] * width, 0, 0
    for start, size, generate, pass_, inside in leaves:
        for i in range(size):
            plain[start + i] = products + size - 1 - i
        products += 2**size - 1
        outputs += generate + pass_ + (size - 1) * inside
    return Plan(
        _table(leaves, 5),
        products,
        outputs,
        tuple(levels),
        slice(result, result + 1),
        _index(plain),
        _table(inner, 3),
        _index(carried),
        _index(carriers),
        _index(within),
    )
