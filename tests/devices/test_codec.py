"""Values on the wire: what goes comes back equal, and nothing else is accepted."""

import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from argot.devices.codec import decode, encode
from argot.devices.schema import DTYPES, Columns, Tensor, describe
from argot.errors import ArgotError, FrameError, InputError, UnsupportedError


def through(value, wanted=None):
    return decode(b"".join(bytes(part) for part in encode(value)), wanted)


def same(a, b):
    if isinstance(a, np.ndarray | np.generic):
        return (
            isinstance(b, np.ndarray)
            and np.asarray(a).dtype == b.dtype
            and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        )
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and (a == b or a != a)


numbers = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
texts = st.lists(
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=5), max_size=4
).map(lambda items: np.array(items, dtype=np.str_) if items else np.empty(0, "U1"))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
)
values = st.recursive(
    scalars | numbers | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_what_goes_comes_back(value):
    assert same(value, through(value))


@pytest.mark.parametrize("value", [np.float64(1.5), np.str_("a")])
def test_numpy_scalars_that_are_python_s_come_back_as_such(value):
    assert same(value.item(), through(value, describe(value)))


@given(values)
def test_what_came_has_the_schema_that_was_told(value):
    assert describe(through(value)) == describe(value)


@given(values, st.data())
def test_broken_messages_are_errors_of_ours(value, data):
    message = bytearray(b"".join(bytes(part) for part in encode(value)))
    for _ in range(data.draw(st.integers(1, 3))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(message)))
    for broken in (bytes(message), bytes(message[:cut])):
        try:
            decode(broken)
        except ArgotError:
            continue


def test_a_value_of_another_schema_is_refused():
    with pytest.raises(InputError, match=r"float64\[3\]"):
        through(np.ones(3), Tensor("float64", (2,)))


@pytest.mark.parametrize(
    "value", [object(), {1: 2}, np.array([1 + 2j]), np.array([object()]), {1, 2}, lambda: 1, np.datetime64(1, "s")]
)
def test_what_has_no_checked_form_does_not_leave(value):
    with pytest.raises(UnsupportedError):
        encode(value)


def message(header, *buffers):
    data = msgspec.msgpack.encode(header)
    return struct.pack("<I", len(data)) + data + b"".join(buffers)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\xff\xff\xff\xff",
        message(["v", [1]]),
        message(["x", 1]),
        message(["a", "object", [1]], bytes(8)),
        message(["a", "float64", [2]], bytes(8)),
        message(["a", "float64", [-1]]),
        message(["a", "float64", [1]], bytes(9)),
        message(["a", "bool", [1]], b"\x02"),
        message(["a", "float64", [2**40, 2**40]]),
        message(["b", -1]),
        message(["b", 5], b"123"),
        message(["s", [2], 1], b"\x90"),
        message(["t", ["x"], [["a", "int64", [1, 1]]]], bytes(8)),
        message(["i", "9" * 20_000]),
        message(["t", ["x", "y"], [["a", "int8", [1]], ["a", "int8", [2]]]], bytes(3)),
    ],
)
def test_bytes_that_are_no_value(data):
    with pytest.raises((FrameError, InputError, UnsupportedError)):
        decode(data)


def test_nesting_is_bounded():
    deep = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(UnsupportedError, match="deeper"):
        encode(deep)
    header = ["l", []]
    for _ in range(100):
        header = ["l", [header]]
    with pytest.raises(FrameError, match="deeper"):
        decode(message(header))


def test_views_of_packets_are_copied():
    data = b"".join(bytes(part) for part in encode(np.arange(4)))
    array = decode(memoryview(data))
    array[0] = 9
    assert decode(data)[0] == 0


def test_tables_are_columns_of_one_length():
    table = Columns({"x": [1, 2], "name": ["a", "b"], "y": [0.5, None]})
    again = through(table)
    assert type(again) is Columns and again["name"].tolist() == ["a", "b"] and np.isnan(again["y"][1])
    assert again.take(np.array([1]))["x"].tolist() == [2]
    with pytest.raises(InputError, match="equal lengths"):
        Columns({"x": [1, 2], "y": [1]})
    with pytest.raises(UnsupportedError, match="leave"):
        Columns({"x": [object()]})
