"""Values on the wire: a checked header and raw buffers. Nothing is ever unpickled.

What can travel: None, bool, int, float, str, bytes, arrays of the dtypes in `schema.DTYPES`, text columns,
tables, and lists, tuples and dicts of those. A message is `u32 header length | header | buffers`; the header is
msgpack and names dtype, shape and length of every buffer, all of which are checked on receipt.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import msgspec
import numpy as np

from ..errors import FrameError, InputError, UnsupportedError
from .schema import DTYPES, Columns, Schema, column_array, describe, is_frame, is_series

MAX_DEPTH = 32
MAX_HEADER = 16 << 20


def encode(value: Any) -> list[bytes | memoryview]:
    """The parts of one message; large arrays are not copied. UnsupportedError for anything else."""
    buffers: list[bytes | memoryview] = []
    header = msgspec.msgpack.encode(_encode(value, buffers, 0))
    if len(header) > MAX_HEADER:
        raise UnsupportedError("a value of too many parts", wanted="arrays rather than long lists of numbers")
    return [struct.pack("<I", len(header)), header, *buffers]


def _encode(value: Any, buffers: list[bytes | memoryview], depth: int) -> list[Any]:
    if depth > MAX_DEPTH:
        raise UnsupportedError(f"a value nested deeper than {MAX_DEPTH}")
    if value is None or isinstance(value, bool | float | str):
        return ["v", value.item() if isinstance(value, np.generic) else value]  # np.float64 is a float, np.str_ a str
    if isinstance(value, int):
        return ["v", value] if -(2**63) <= value < 2**64 else ["i", str(value)]
    if isinstance(value, bytes):
        buffers.append(value)
        return ["b", len(value)]
    if is_frame(value):
        value = Columns({name: column_array(column) for name, column in value.items()})
    if is_series(value):
        value = column_array(value)
    if isinstance(value, Columns):
        return ["t", list(value), [_encode(column, buffers, depth + 1) for column in value.values()]]
    if isinstance(value, np.ndarray | np.generic):
        return _encode_array(np.asarray(value), buffers)
    if isinstance(value, list | tuple):
        items = [_encode(item, buffers, depth + 1) for item in value]
        return ["l" if isinstance(value, list) else "u", items]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return ["d", list(value), [_encode(item, buffers, depth + 1) for item in value.values()]]
    raise UnsupportedError(
        "a value of a kind that does not leave its owner",
        wanted="arrays, numbers, text, tables, and lists or dicts of those",
        todo="return such a value from the function",
    )


def _encode_array(array: np.ndarray, buffers: list[bytes | memoryview]) -> list[Any]:
    if array.dtype.kind in "UT":
        text = msgspec.msgpack.encode(array.ravel().tolist())
        buffers.append(text)
        return ["s", list(array.shape), len(text)]
    if array.dtype.name not in DTYPES:
        raise UnsupportedError(
            "an array of a dtype that does not leave its owner", wanted=f"one of {', '.join(sorted(DTYPES))} or text"
        )
    array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    buffers.append(array.reshape(-1).view(np.uint8).data)
    return ["a", array.dtype.name, list(array.shape)]


def decode(message: bytes | memoryview, wanted: Schema | None = None) -> Any:
    """The value of one message. Raises FrameError for bytes that are not one, InputError if it is not `wanted`."""
    view = memoryview(message)
    try:
        (length,) = struct.unpack_from("<I", view, 0)
        if length > MAX_HEADER:
            raise FrameError(f"a value header of {length} bytes")
        header = msgspec.msgpack.decode(view[4 : 4 + length])
        value, end = _decode(header, view, 4 + length, 0)
    except (struct.error, msgspec.DecodeError, TypeError, ValueError, KeyError, IndexError) as error:
        raise FrameError("bytes that are not a value") from error
    if end != len(view):
        raise FrameError(f"a value of {end} bytes in a message of {len(view)}")
    if wanted is not None and describe(value) != wanted:
        raise InputError(f"a value of schema {describe(value)}", wanted=str(wanted))
    return value


def _decode(header: list[Any], view: memoryview, at: int, depth: int) -> tuple[Any, int]:
    if depth > MAX_DEPTH:
        raise FrameError(f"a value nested deeper than {MAX_DEPTH}")
    match header:
        case ["v", value] if value is None or isinstance(value, bool | int | float | str):
            return value, at
        case ["i", str(digits)] if len(digits) < 10_000:
            return int(digits), at
        case ["b", int(length)]:
            return bytes(_cut(view, at, length)), at + length
        case ["a", str(dtype), list(shape)] if dtype in DTYPES:
            return _decode_array(view, at, dtype, shape)
        case ["s", list(shape), int(length)]:
            items = msgspec.msgpack.decode(_cut(view, at, length), type=list[str])
            return np.array(items, dtype=np.str_ if items else "U1").reshape(_checked(shape)), at + length
        case ["t", list(names), list(columns)]:
            values, at = _decode_all(columns, view, at, depth)
            return Columns(dict(zip(names, values, strict=True))), at
        case ["l", list(items)]:
            return _decode_all(items, view, at, depth)
        case ["u", list(items)]:
            values, at = _decode_all(items, view, at, depth)
            return tuple(values), at
        case ["d", list(names), list(items)] if all(isinstance(name, str) for name in names):
            values, at = _decode_all(items, view, at, depth)
            return dict(zip(names, values, strict=True)), at
    raise FrameError("a value header that is not one")


def _decode_all(headers: list[Any], view: memoryview, at: int, depth: int) -> tuple[list[Any], int]:
    values = []
    for header in headers:
        value, at = _decode(header, view, at, depth + 1)
        values.append(value)
    return values, at


def _checked(shape: list[Any]) -> tuple[int, ...]:
    if len(shape) > 32 or any(not isinstance(n, int) or n < 0 for n in shape):
        raise FrameError("a shape that is not one")
    return tuple(shape)


def _cut(view: memoryview, at: int, length: int) -> memoryview:
    if length < 0 or at + length > len(view):
        raise FrameError(f"a value that ends {at + length - len(view)} bytes after its message")
    return view[at : at + length]


def _decode_array(view: memoryview, at: int, dtype: str, shape: list[Any]) -> tuple[np.ndarray, int]:
    sizes = _checked(shape)
    kind = np.dtype(dtype).newbyteorder("<")
    length = math.prod(sizes) * kind.itemsize
    raw = np.frombuffer(_cut(view, at, length), dtype=np.uint8)
    if dtype == "bool" and raw.size and raw.max() > 1:
        raise FrameError("a boolean that is neither 0 nor 1")
    return raw.copy().view(kind).reshape(sizes), at + length
