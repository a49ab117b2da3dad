"""The protocol: right against Python's sets and pandas, silent but for what it declares, and firm with bad input."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psi_wires import Wires

from argot._core import sets
from argot.errors import FrameError, InputError, InputRefused, PermissionRefused
from argot.psi import ecdh
from argot.psi.keys import read_keys
from argot.runtime.world import Delivery, World

NAMES = ("alice", "bob", "carol")


async def program(party, columns, **options: Any):
    """Parties 0 and 1 own tables, 2 is told the size."""
    if party.rank == 2:
        return await ecdh.observe(party, (0, 1), names=NAMES)
    return await ecdh.intersect(party, 1 - party.rank, columns, observers=(2,), names=NAMES, **options)


def intersect(first: list, second: list, change=None, **options: Any) -> tuple[list, Wires]:
    wires = Wires(change)
    inputs = [first, second, None]
    ends = wires.run([lambda p, c=c: program(p, c, **options) for c in inputs])
    return ends, wires


def world(first: list, second: list, delivery: Delivery | None = None, **options: Any) -> tuple[list, World]:
    world = World(lambda party: party, n=3, delivery=delivery)
    return world.run(program, [first, second, None], **options), world


# ----------------------------------------------------------------------------------------------------- right

IDS = st.one_of(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), unique=True, max_size=30),
    st.lists(st.integers(-(2**70), 2**70) | st.integers(-9, 9), unique=True, max_size=30),
)


@settings(deadline=None, max_examples=40)
@given(data=st.data(), ids=IDS)
def test_the_intersection_is_that_of_python_sets(data: st.DataObject, ids: list) -> None:
    first = data.draw(st.permutations(ids).flatmap(lambda p: st.integers(0, len(p)).map(lambda k: p[:k])))
    second = data.draw(st.permutations(ids).flatmap(lambda p: st.integers(0, len(p)).map(lambda k: p[:k])))
    (a, b, size), _ = intersect([first], [second], batch=7)
    aligned = [first[i] for i in a.rows]
    assert aligned == [second[i] for i in b.rows]
    assert set(aligned) == set(first) & set(second)
    assert len(aligned) == len(set(aligned)) == size == a.size == b.size
    assert (a.own_items, a.peer_items, b.own_items) == (len(first), len(second), len(second))


def test_two_columns_against_a_merge_of_pandas() -> None:
    rng = np.random.default_rng(5)
    tables = []
    for rows in (900, 1300):
        table = pd.DataFrame({"name": rng.integers(0, 60, rows).astype(str), "year": rng.integers(1950, 1990, rows)})
        tables.append(table.drop_duplicates().reset_index(drop=True))
    left, right = tables
    (a, b, size), _ = intersect([left["name"], left["year"]], [right["name"], right["year"]], batch=256)
    pd.testing.assert_frame_equal(left.iloc[a.rows].reset_index(drop=True), right.iloc[b.rows].reset_index(drop=True))
    assert size == len(left.merge(right)) > 100


@pytest.mark.parametrize("delivery", [None, Delivery(), Delivery(delay=60, split=0.9, speeds=(0.05, 1.0, 0.5))])
def test_in_the_world_however_packets_arrive(delivery: Delivery | None) -> None:
    first, second = [f"row {i}" for i in range(100)], [f"row {i}" for i in range(300, 50, -1)]
    (a, b, size), _ = world([first], [second], delivery, batch=16)
    assert [first[i] for i in a.rows] == [second[i] for i in b.rows]
    assert size == 49


@pytest.mark.parametrize(("first", "second"), [([], []), ([], ["a"]), (["a"], []), (["a"], ["b"]), ([1, 2], [])])
def test_nothing_in_common_is_a_result(first: list, second: list) -> None:
    (a, b, size), _ = intersect([first], [second])
    assert (a.size, b.size, size) == (0, 0, 0)
    assert a.rows.shape == (0,)
    assert a.rows.dtype == np.int64


def test_keys_may_be_read_before() -> None:
    (a, _, _), _ = intersect(read_keys(["x", "y"]), read_keys(np.array(["y", "z"])))
    assert a.rows.tolist() == [1]


def test_rounds_and_bytes_a_row() -> None:
    rows = 2000
    (_, _, size), where = world([list(range(rows))], [list(range(100, rows + 100))])
    assert size == rows - 100
    assert where.rounds == 7
    assert where.bits / 8 <= 80 * rows
    big = 1 << 26
    assert 2 * ecdh.POINT + ecdh._tag_length(big, big) + ecdh._position_width(big) <= 80


@pytest.mark.parametrize(("rows", "others"), [(1, 1), (1, 1 << 20), (1 << 17, 1 << 17), (1 << 26, 1 << 26)])
def test_tags_are_long_enough(rows: int, others: int) -> None:
    pairs = (rows + others) ** 2 / 2
    assert pairs * 2.0 ** (-8 * ecdh._tag_length(rows, others)) <= 2.0**-40


def test_progress_counts_own_and_other_rows() -> None:
    seen = []
    intersect([list(range(10))], [list(range(30))], batch=8, progress=lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {40}
    assert sorted(seen)[-2:] == [(40, 40)] * 2
    assert len(seen) == 2 * (2 + 4)


# ---------------------------------------------------------------------------------------------------- silent


def test_no_message_holds_a_hash_or_an_unblinded_point_of_a_key() -> None:
    ids = [f"patient-{i}" for i in range(50)]
    _, wires = intersect([ids], [ids[25:]])
    sent = b"".join(payload for _, _, payload in wires.messages)
    items = read_keys(ids).items
    digests = [item.tobytes()[:k] for item in items for k in (8, 16, 32)]
    digests += [point.tobytes() for point in sets.from_uniform(items)]
    digests += [tag.tobytes() for tag in sets.tags(sets.from_uniform(items), 8)]
    for name in ids:
        digests += [hashlib.new(kind, name.encode()).digest()[:8] for kind in ("sha256", "sha1", "md5", "blake2b")]
    assert not any(digest in sent for digest in digests)


def test_two_runs_on_the_same_keys_share_no_message() -> None:
    ids = [f"patient-{i}" for i in range(64)]
    runs = []
    for _ in range(2):
        _, wires = intersect([ids], [ids])
        points = [p[i : i + 8] for p in wires.between(0, 1) + wires.between(1, 0) for i in range(1, len(p) - 7, 8)]
        header = {p[i : i + 8] for p in wires.between(0, 1)[:1] for i in range(1, len(p), 8)}
        runs.append(set(points) - header)
    assert len(runs[0]) > 500
    assert not runs[0] & runs[1]


def test_the_order_of_the_result_is_not_that_of_the_input() -> None:
    """Over runs on one table the first common row is any row, equally likely."""
    ids = list(range(8))
    first = np.zeros(8)
    for _ in range(400):
        (a, b, _), _ = intersect([ids], [ids])
        assert np.array_equal(a.rows, b.rows)
        first[a.rows[0]] += 1
    assert ((first - 50) ** 2 / 50).sum() < 40, "chi-square, 7 degrees of freedom"


def test_points_go_out_in_an_order_of_their_own() -> None:
    """Bob answers the points of alice in the order they came; what he sees at a place must not be her row there."""
    ids = list(range(8))
    seen = np.zeros((8, 8))
    for _ in range(300):
        (a, _, _), wires = intersect([ids], [ids])
        result = wires.between(1, 0)[-1]  # for each common row in the order of tags: which of her points
        seen[a.rows, np.frombuffer(result, np.uint8)[1:9]] += 1
    assert ((seen - 37.5) ** 2 / 37.5).sum() < 120, "chi-square, 49 degrees of freedom"


@pytest.mark.parametrize("rows", [(40, 60), (60, 40), (50, 50)])
def test_lengths_of_messages_depend_on_sizes_only(rows: tuple[int, int]) -> None:
    lengths = set()
    for make in (str, lambda i: f"a much longer identifier of row {i} \N{GREEK SMALL LETTER ALPHA}"):
        first, second = [make(i) for i in range(rows[0])], [make(i + 20) for i in range(rows[1])]
        _, wires = intersect([first], [second], batch=16)
        lengths.add(tuple((s, r, len(p)) for s, r, p in wires.messages))
    shared = {len(set(range(rows[0])) & set(range(20, rows[1] + 20)))}
    assert len(shared) == len(lengths) == 1


# ------------------------------------------------------------------------------------------------------ firm


def test_duplicates_are_told_to_their_owner_and_one_bit_to_the_others() -> None:
    ends, wires = intersect([["a", "b", "secret-canary", "secret-canary"]], [["a"]])
    assert isinstance(ends[0], InputError)
    assert "1 of 4 rows have the key of an earlier row: 3 (as 2)" in str(ends[0])
    for end in ends[1:]:
        assert isinstance(end, InputRefused)
        assert end.party == "alice"
        assert "row" not in str(end).replace("rows of", "")
    refused = ecdh.Outcome.KEYS_REFUSED
    assert wires.between(0, 1) == [ecdh._HEADER.pack(refused, 0, 0), bytes([refused])]
    assert wires.between(0, 2) == [ecdh._REPORT.pack(refused, 0)]


def test_both_may_refuse() -> None:
    ends, _ = intersect([["a", "a"]], [[1.5]])
    assert [type(end) for end in ends] == [InputError, InputError, InputRefused]


def test_keys_of_different_types_are_an_error_at_all() -> None:
    ends, _ = intersect([["1", "2"]], [[1, 2]])
    assert [type(end) for end in ends] == [InputError] * 3
    assert "text here, integer there" in str(ends[0])
    ends, _ = intersect([["1"], ["2"]], [["1"]])
    assert [type(end) for end in ends] == [InputError] * 3


def test_more_rows_than_accepted_are_refused_at_all() -> None:
    ends, wires = intersect([list(range(11))], [list(range(5))], max_items=10)
    assert [type(end) for end in ends] == [PermissionRefused] * 3
    assert all(len(payload) < 100 for _, _, payload in wires.messages), "no point was sent"


IDENTITY = bytes(32)
NOT_CANONICAL = (2**255 - 18).to_bytes(32, "little")
NO_SQUARE = bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371")


def point_at(place: int, bad: bytes):
    return lambda payload: payload[:place] + bad + payload[place + 32 :]


@pytest.mark.parametrize("sizes", [(30, 40), (40, 30)])
@pytest.mark.parametrize("sender", [0, 1])
@pytest.mark.parametrize(
    "spoil",
    [
        point_at(1, IDENTITY),
        point_at(1 + 32 * 7, NOT_CANONICAL),
        point_at(1 + 32 * 3, NO_SQUARE),
        lambda payload: payload[:-1],
        lambda payload: payload + b"\0",
        lambda payload: b"",
        lambda payload: b"\x77" + payload[1:],
    ],
)
def test_malformed_points_are_an_error_at_every_party(sizes: tuple[int, int], sender: int, spoil) -> None:
    changed = []

    def change(s: int, r: int, payload: bytes) -> bytes:
        if s == sender and r < 2 and len(payload) == 1 + 32 * 8 and not changed:
            changed.append(payload)
            return spoil(payload)
        return payload

    ends, _ = intersect([list(range(sizes[0]))], [list(range(sizes[1]))], change, batch=8)
    assert changed
    assert [type(end) for end in ends] == [FrameError] * 3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda result: result[:1] + result[1:2] * (len(result) - 1),  # one position, many times
        lambda result: result[:1] + b"\xff" * (len(result) - 1),  # positions beyond the table
        lambda result: result + result[1:] * 9,  # more than there are rows
        lambda result: b"\x05",
    ],
)
def test_a_malformed_result_is_an_error_at_every_party(spoil) -> None:
    def change(s: int, r: int, payload: bytes) -> bytes:
        return spoil(payload) if (s, r) == (1, 0) and len(payload) == 31 else payload

    ends, _ = intersect([list(range(40))], [list(range(30))], change)
    assert [type(end) for end in ends] == [FrameError] * 3


def test_a_point_sent_twice_is_an_error_at_every_party() -> None:
    def change(s: int, r: int, payload: bytes) -> bytes:
        return payload[:33] + payload[1:33] + payload[65:] if s == 0 and r == 1 and len(payload) > 999 else payload

    ends, _ = intersect([list(range(40))], [list(range(30))], change)
    assert [type(end) for end in ends] == [FrameError] * 3


@pytest.mark.parametrize("header", [b"", b"\0" * 16, b"\0" * 17 + b"float", b"\0" * 2000, b"\x09" + b"\0" * 16])
def test_a_malformed_header_is_an_error(header: bytes) -> None:
    first = []

    def change(s: int, r: int, payload: bytes) -> bytes:
        return header if (s, r) == (0, 1) and not first.append(0) and len(first) == 1 else payload

    ends, _ = intersect([["a"]], [["a"]], change)
    assert isinstance(ends[1], FrameError)
    assert isinstance(ends[2], FrameError)


def test_owners_that_tell_different_sizes_are_an_error_at_the_observer() -> None:
    def change(s: int, r: int, payload: bytes) -> bytes:
        return ecdh._REPORT.pack(0, 7) if (s, r) == (0, 2) else payload

    ends, _ = intersect([["a"]], [["a"]], change)
    assert isinstance(ends[2], FrameError)
    assert "sizes 7 and 1" in str(ends[2])


def test_what_is_disclosed_is_declared() -> None:
    told = ecdh.disclosed(("alice", "bob"), ("carol", "driver"))
    assert {(d.to, d.of) for d in told} == {
        ("alice", ("bob",)),
        ("bob", ("alice",)),
        ("carol", ("alice", "bob")),
        ("driver", ("alice", "bob")),
    }
    assert len(told) == 10
