"""The local parts of private set intersection: keys to bytes, blinding, orders, tags, matching."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argot._core import sets

KEYS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=40)

# RFC 9496, appendix A.3: SHA-512 of the label, mapped to a point.
LABELS = {
    b"Ristretto is traditionally a short shot of espresso coffee": "3066f82a1a747d45120d1740f14358531a8f04bb"
    "ffe6a819f86dfe50f44a0a46",
    b"made with the normal amount of ground coffee but extracted with": "f26e5b6f7d362d2d2a94c5d0e7602cb4773c95a2"
    "e5c31a64f133189fa76ed61b",
}


def points(*rows: bytes) -> np.ndarray:
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 32)


@pytest.mark.parametrize(("label", "encoding"), LABELS.items())
def test_hashing_to_the_group_is_that_of_rfc_9496(label: bytes, encoding: str) -> None:
    uniform = np.frombuffer(hashlib.sha512(label).digest(), np.uint8).reshape(1, 64)
    assert sets.from_uniform(uniform).tobytes().hex() == encoding


def test_blinding_commutes_and_each_scalar_is_fresh() -> None:
    items, _ = sets.uniform([list("abcdefghi") * 40], "test")
    items = np.unique(items, axis=0)
    a, b = sets.Blinder(), sets.Blinder()
    once, other = a.blind(items), b.blind(items)
    assert not np.any(np.all(once == other, axis=1))
    assert np.array_equal(b.reblind(once), a.reblind(other))
    assert "secret" in repr(a)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 255, 256, 257, 600])
def test_every_batch_size_gives_the_points_one_by_one(count: int) -> None:
    items, _ = sets.uniform([np.arange(count)], "test")
    a, b = sets.Blinder(), sets.Blinder()
    together = b.reblind(a.blind(items))
    alone = [b.reblind(a.blind(items[i : i + 1])) for i in range(count)]
    assert np.array_equal(together, np.concatenate([np.empty((0, 32), np.uint8), *alone]))


@pytest.mark.parametrize(
    "bad",
    [
        bytes(32),  # the identity
        (2**255 - 19).to_bytes(32, "little"),  # 0, not canonical
        (2**255 - 18).to_bytes(32, "little"),  # 1, not canonical
        b"\xff" * 32,
        b"\x01" + bytes(31),  # negative
        bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),  # x^2 not a square
        bytes.fromhex("3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e"),  # x y negative
    ],
)
@pytest.mark.parametrize("place", [0, 5, 255, 256, 300])
def test_bytes_that_are_no_point_are_refused_by_position(bad: bytes, place: int) -> None:
    items, _ = sets.uniform([np.arange(301)], "test")
    blinder = sets.Blinder()
    sent = blinder.blind(items)
    sent[place] = np.frombuffer(bad, np.uint8)
    sent[300] = np.frombuffer(bad, np.uint8)
    with pytest.raises(sets.BadPoint) as caught:
        blinder.reblind(sent)
    assert caught.value.args == (place,)


def test_permutations_are_fresh_and_complete() -> None:
    first, second = sets.permutation(5000), sets.permutation(5000)
    assert np.array_equal(np.sort(first), np.arange(5000))
    assert not np.array_equal(first, second)
    assert abs(np.corrcoef(first, np.arange(5000))[0, 1]) < 0.1
    assert sets.permutation(0).shape == (0,)


@given(left=st.sets(st.binary(min_size=9, max_size=9)), right=st.sets(st.binary(min_size=9, max_size=9)))
def test_common_tags_are_those_of_python(left: set[bytes], right: set[bytes]) -> None:
    shared = {b"%09d" % i for i in range(20)}
    lists = [sorted(own | shared, key=hash) for own in (left, right)]
    rows = [np.frombuffer(b"".join(tags), np.uint8).reshape(-1, 9) for tags in lists]
    mine, theirs = sets.common(*rows)
    want = sorted((left | shared) & (right | shared))
    assert [lists[0][i] for i in mine] == want
    assert [lists[1][i] for i in theirs] == want


def test_a_repeated_tag_is_refused() -> None:
    tags = np.arange(30, dtype=np.uint8).reshape(3, 10)
    with pytest.raises(sets.RepeatedTag) as caught:
        sets.common(tags, tags[[0, 1, 0]])
    assert caught.value.args == (1, 0, 2)


@given(first=KEYS, second=KEYS)
def test_two_columns_of_text_are_encoded_injectively(first: list[str], second: list[str]) -> None:
    rows = min(len(first), len(second))
    items, kinds = sets.uniform([first[:rows], second[:rows]], "test")
    assert kinds == ["text", "text"]
    pairs = list(zip(first, second, strict=False))
    equal = {(i, j) for i in range(rows) for j in range(rows) if pairs[i] == pairs[j]}
    assert equal == {(i, j) for i in range(rows) for j in range(rows) if items[i].tobytes() == items[j].tobytes()}


@given(values=st.lists(st.one_of(st.integers(-300, 300), st.integers(-(2**130), 2**130)), min_size=1))
def test_integers_are_encoded_injectively_whatever_their_width(values: list[int]) -> None:
    items, kinds = sets.uniform([values], "test")
    assert kinds == ["integer"]
    by_key = {item.tobytes(): value for item, value in zip(items, values, strict=True)}
    assert len(by_key) == len(set(values))
    assert all(by_key[item.tobytes()] == value for item, value in zip(items, values, strict=True))
    small = [v for v in values if -(2**63) <= v < 2**63]
    if small:
        assert np.array_equal(sets.uniform([np.array(small, np.int64)], "test")[0], sets.uniform([small], "test")[0])


def test_kind_and_domain_count() -> None:
    forms = [
        sets.uniform([column], domain)[0].tobytes() for column in (["1"], [1], [b"1"]) for domain in ("one", "other")
    ]
    assert len(set(forms)) == 6


def test_duplicates_are_counted() -> None:
    items, _ = sets.uniform([list("abacba")], "test")
    assert sets.duplicates(items, 2) == (3, [(0, 2), (1, 4)])
    assert sets.duplicates(items[:2], 2) == (0, [])


@pytest.mark.parametrize(
    ("column", "error", "args"),
    [
        (["a", None], sets.BadKey, ("NoneType in a column of text", 0, 1)),
        (["a", 1], sets.BadKey, ("int in a column of text", 0, 1)),
        ([1.5], sets.BadKey, ("float", 0, 0)),
        ([1, True], sets.BadKey, ("bool in a column of integer", 0, 1)),
        (["a", "\ud800"], sets.BadKey, ("str with a lone surrogate", 0, 1)),
    ],
)
def test_bad_keys_are_named_by_row(column: list, error: type, args: tuple) -> None:
    with pytest.raises(error) as caught:
        sets.uniform([column], "test")
    assert caught.value.args == args


@pytest.mark.parametrize(
    "call",
    [
        lambda: sets.uniform([["a"], ["b", "c"]], "test"),
        lambda: sets.Blinder().blind(np.zeros((2, 32), np.uint8)),
        lambda: sets.Blinder().reblind(np.zeros((2, 64), np.uint8)),
        lambda: sets.tags(np.zeros((2, 32), np.uint8), 17),
        lambda: sets.tags(np.zeros((2, 32), np.uint8), 0),
        lambda: sets.common(np.zeros((2, 8), np.uint8), np.zeros((2, 9), np.uint8)),
    ],
)
def test_wrong_shapes_are_refused(call) -> None:
    with pytest.raises(ValueError, match=r"wanted|different lengths"):
        call()


def test_tags_are_prefixes_of_one_hash() -> None:
    rows = points(b"\x01" * 32, b"\x02" * 32)
    assert np.array_equal(sets.tags(rows, 16)[:, :10], sets.tags(rows, 10))
    assert len(np.unique(sets.tags(rows, 10), axis=0)) == 2
