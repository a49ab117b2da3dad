"""What may be said about a value without showing it: shapes and types.

A schema is a small tree. Its leaves are tensors, tables, texts and opaque objects; its inner nodes are the
sequences and mappings of Python. Agents report schemas to the driver; values never travel that way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np

from ..errors import InputError, UnsupportedError

# The dtypes that may cross between processes. Text columns are called "str".
DTYPES = frozenset(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]
)


class Tensor(msgspec.Struct, frozen=True, tag="tensor", array_like=True):
    """An array of one dtype; scalars have shape (). With limits, low <= x <= high, which the owner's agent checked."""

    dtype: str
    shape: tuple[int, ...] = ()
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        text = f"{self.dtype}[{', '.join(map(str, self.shape))}]"
        return text if self.low is self.high is None else f"{text} in {_range(self.low, self.high)}"


def _range(low: float | None, high: float | None) -> str:
    return f"[{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}]"


SHOWN = 6
"""Columns of a table that its short form names."""


class Table(msgspec.Struct, frozen=True, tag="table", array_like=True):
    """Columns of equal length: (name, dtype) in order; and (name, low, high) of those with declared limits."""

    columns: tuple[tuple[str, str], ...]
    rows: int
    ranges: tuple[tuple[str, float | None, float | None], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)

    def dtype(self, name: str) -> str:
        """The dtype of one column; InputError names the columns there are."""
        for column, dtype in self.columns:
            if column == name:
                return dtype
        raise InputError(
            f"there is no column {name!r}", wanted=f"one of {', '.join(self.names)}", todo="check the spelling"
        )

    def column(self, name: str) -> Tensor:
        """The schema of one column; InputError names the columns there are."""
        low, high = next(((low, high) for of, low, high in self.ranges if of == name), (None, None))
        return Tensor(self.dtype(name), (self.rows,), low, high)

    def select(self, names: tuple[str, ...]) -> Table:
        columns = tuple((name, self.dtype(name)) for name in names)
        return Table(columns, self.rows, tuple(r for r in self.ranges if r[0] in names))

    def __str__(self) -> str:
        shown = self.names if len(self.names) <= SHOWN else (*self.names[:SHOWN], f"... {len(self.names)} columns")
        return f"table[{self.rows} rows: {', '.join(shown)}]"


class Text(msgspec.Struct, frozen=True, tag="text", array_like=True):
    """A str or bytes; its length is not told."""

    binary: bool = False

    def __str__(self) -> str:
        return "bytes" if self.binary else "str"


class Nothing(msgspec.Struct, frozen=True, tag="none", array_like=True):
    """None."""

    def __str__(self) -> str:
        return "None"


class Opaque(msgspec.Struct, frozen=True, tag="opaque", array_like=True):
    """An object that stays where it is. Not even its class is told: a class name can hold data."""

    def __str__(self) -> str:
        return "object"


class Items(msgspec.Struct, frozen=True, tag="items", array_like=True):
    """A list or tuple."""

    items: tuple[Schema, ...]

    def __str__(self) -> str:
        return "(" + ", ".join(map(str, self.items)) + ("," if len(self.items) == 1 else "") + ")"


class Fields(msgspec.Struct, frozen=True, tag="fields", array_like=True):
    """A dict with text keys, in order."""

    names: tuple[str, ...]
    items: tuple[Schema, ...]

    def __str__(self) -> str:
        return "{" + ", ".join(f"{n}: {i}" for n, i in zip(self.names, self.items, strict=True)) + "}"


Schema: TypeAlias = Tensor | Table | Text | Nothing | Opaque | Items | Fields
Step: TypeAlias = int | str | tuple[str, ...]
Path: TypeAlias = tuple[Step, ...]


def is_frame(value: Any) -> bool:
    """True for a pandas DataFrame, without importing pandas."""
    return type(value).__module__.partition(".")[0] == "pandas" and type(value).__name__ == "DataFrame"


def is_series(value: Any) -> bool:
    """True for a pandas Series, without importing pandas."""
    return type(value).__module__.partition(".")[0] == "pandas" and type(value).__name__ == "Series"


class Columns(dict[str, np.ndarray]):
    """A table as a value: columns by name, all one-dimensional and of equal length."""

    def __init__(self, columns: Mapping[str, Any] = {}) -> None:
        super().__init__({str(name): column_array(values) for name, values in columns.items()})
        lengths = {name: values.shape for name, values in self.items()}
        if any(len(shape) != 1 for shape in lengths.values()) or len(set(lengths.values())) > 1:
            raise InputError(f"a table of columns of shapes {lengths}", wanted="one axis, equal lengths")

    @property
    def rows(self) -> int:
        return len(next(iter(self.values()))) if self else 0

    def take(self, rows: np.ndarray) -> Columns:
        return Columns({name: values[rows] for name, values in self.items()})

    def to_pandas(self) -> Any:
        """A pandas DataFrame (needs pandas)."""
        import pandas

        return pandas.DataFrame(dict(self))


def column_array(values: Any) -> np.ndarray:
    """One column as an array: numbers and booleans as they are, text as a unicode array."""
    array = np.asarray(values)
    if array.dtype.name in DTYPES:
        return array
    if array.dtype.kind in "OSUT":
        items = array.tolist()
        if all(isinstance(item, str) for item in items):
            return np.array(items, dtype=np.str_) if items else np.empty(0, dtype="U1")
        if all(isinstance(item, int | float | np.number) or item is None for item in items):
            return np.array([np.nan if item is None else item for item in items], dtype=np.float64)
    raise UnsupportedError(
        "a column of a type that cannot leave its owner",
        wanted="numbers, booleans or text",
        todo="convert the column in the function that makes the table",
    )


def dtype_name(array: np.ndarray) -> str:
    return "str" if array.dtype.kind in "UT" else array.dtype.name


def describe(value: Any) -> Schema:
    """The schema of a value; whatever has no checked form is Opaque."""
    if value is None:
        return Nothing()
    if isinstance(value, bool | np.bool_):
        return Tensor("bool")
    if isinstance(value, int):
        return Tensor("int64") if -(2**63) <= value < 2**63 else Opaque()
    if isinstance(value, float):
        return Tensor("float64")
    if isinstance(value, str | bytes):
        return Text(isinstance(value, bytes))
    if isinstance(value, Columns):
        return Table(tuple((name, dtype_name(column)) for name, column in value.items()), value.rows)
    if is_frame(value):
        return _describe_frame(value)
    if is_series(value):
        return describe(value.to_numpy())
    if isinstance(value, np.ndarray | np.generic):
        return Tensor(value.dtype.name, value.shape) if value.dtype.name in DTYPES else _describe_other(value)
    if isinstance(value, list | tuple):
        return Items(tuple(describe(item) for item in value))
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return Fields(tuple(value), tuple(describe(item) for item in value.values()))
    return Opaque()


def _describe_other(array: Any) -> Schema:
    return Tensor("str", array.shape) if array.dtype.kind in "UT" else Opaque()


def _describe_frame(frame: Any) -> Schema:
    columns = []
    for name, values in frame.items():
        kind = getattr(values.dtype, "name", "")
        kind = "str" if kind in ("object", "str", "string") else kind
        columns.append((str(name), kind if kind in DTYPES or kind == "str" else "other"))
    return Table(tuple(columns), len(frame))


def spec(shape: Any = (), dtype: Any = "float64", *, low: float | None = None, high: float | None = None) -> Tensor:
    """A schema to declare ahead: `@argot.device(alice, returns=argot.spec((100, 3), low=0, high=1))`.

    Args:
        low, high: limits of every element, either or both. They are public: they travel with the schema, to the driver
            and to all parties of a device that uses the value. Choose them from what everybody may know of the data
            (an age lies between 0 and 120), never from the data itself. The owner's agent refuses data outside, and
            NaN; others learn that it did, and not why.

    Raises:
        InputError: a dtype that cannot travel; limits that are NaN, in the wrong order, or of booleans.
    """
    shape = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    name = np.dtype(dtype).name
    if name not in DTYPES:
        raise InputError(f"dtype {name!r} cannot be declared", wanted=f"one of {', '.join(sorted(DTYPES))}")
    return Tensor(name, shape, *limits(name, low, high))


def limits(dtype: str, low: Any, high: Any) -> tuple[float | None, float | None]:
    """Checked limits of a dtype's elements; infinite ones are None. InputError for what cannot be a range."""
    if low is None and high is None:
        return None, None
    if dtype in ("bool", "str"):
        raise InputError(f"a range of {dtype}", wanted="a range of numbers")
    below, above = (-math.inf if low is None else low), (math.inf if high is None else high)
    if not all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in (below, above)):
        raise InputError(f"a range from {low!r} to {high!r}", wanted="numbers")
    if not below <= above or below == math.inf or above == -math.inf:
        raise InputError(f"a range from {low} to {high}", wanted="low <= high")
    return _outwards(below, -math.inf), _outwards(above, math.inf)


def _outwards(value: Any, end: float) -> float | None:
    """A limit as a float, no narrower than it was, as large integers are rounded. What no number passes is none."""
    found = float(max(min(value, 2.0**70), -(2.0**70)))
    if (found > value) if end < 0 else (found < value):
        found = math.nextafter(found, end)
    return found if abs(found) < 2.0**70 else None


def declared(returns: Any) -> Schema:
    """The schema that `returns=` says: specs, anything with shape and dtype, or trees of those."""
    if isinstance(returns, Tensor | Table | Text | Nothing | Opaque | Items | Fields):
        return returns
    if isinstance(returns, list | tuple):
        return Items(tuple(declared(item) for item in returns))
    if isinstance(returns, dict):
        return Fields(tuple(map(str, returns)), tuple(declared(item) for item in returns.values()))
    if hasattr(returns, "shape") and hasattr(returns, "dtype"):
        return spec(returns.shape, returns.dtype)
    raise InputError(
        f"returns={type(returns).__name__} is not a schema", wanted="argot.spec(shape, dtype), or a tree of those"
    )


def step_into(schema: Schema, step: Step) -> Schema:
    """The schema of one part: an item by number, a field or column by name, columns by a tuple of names."""
    if isinstance(schema, Items) and isinstance(step, int) and -len(schema.items) <= step < len(schema.items):
        return schema.items[step]
    if isinstance(schema, Fields) and step in schema.names:
        return schema.items[schema.names.index(str(step))]
    if isinstance(schema, Table) and isinstance(step, str):
        return schema.column(step)
    if isinstance(schema, Table) and isinstance(step, tuple):
        return schema.select(step)
    raise InputError(f"{schema} has no part {step!r}")


def resolve(schema: Schema, path: Path) -> Schema:
    for step in path:
        schema = step_into(schema, step)
    return schema


def walk(value: Any, path: Path) -> Any:
    """The part of a value that `path` names; DataFrames give arrays for a column and tables for several."""
    for step in path:
        value = _walk_one(value, step)
    return value


def _walk_one(value: Any, step: Step) -> Any:
    if isinstance(step, tuple):
        names = [str(name) for name in value]
        missing = [name for name in step if name not in names]
        if missing:
            raise InputError(f"there is no column {missing[0]!r}", wanted=f"one of {', '.join(names)}")
        return value[list(step)] if is_frame(value) else Columns({name: value[name] for name in step})
    if is_frame(value):
        return column_array(value[step])
    return value[step]


def leaves(schema: Schema) -> Iterator[tuple[Path, Schema]]:
    """Every leaf with its path, in order; the columns of a table count as leaves, None does not."""
    if isinstance(schema, Items):
        for i, item in enumerate(schema.items):
            yield from (((i, *path), leaf) for path, leaf in leaves(item))
    elif isinstance(schema, Fields):
        for name, item in zip(schema.names, schema.items, strict=True):
            yield from (((name, *path), leaf) for path, leaf in leaves(item))
    elif isinstance(schema, Table):
        for name in schema.names:
            yield (name,), schema.column(name)
    elif not isinstance(schema, Nothing):
        yield (), schema


def build(schema: Schema, parts: Iterator[Any]) -> Any:
    """The Python tree of a schema with the next of `parts` at every leaf."""
    if isinstance(schema, Items):
        return tuple(build(item, parts) for item in schema.items)
    if isinstance(schema, Fields):
        return {name: build(item, parts) for name, item in zip(schema.names, schema.items, strict=True)}
    if isinstance(schema, Table):
        return {name: next(parts) for name in schema.names}
    return None if isinstance(schema, Nothing) else next(parts)


def same(got: Schema, wanted: Schema) -> bool:
    """True if a value of schema `got` may stand where `wanted` was declared; Opaque accepts anything."""
    if isinstance(wanted, Opaque):
        return True
    if isinstance(got, Items) and isinstance(wanted, Items):
        return len(got.items) == len(wanted.items) and all(map(same, got.items, wanted.items))
    if isinstance(got, Fields) and isinstance(wanted, Fields):
        return got.names == wanted.names and all(map(same, got.items, wanted.items))
    return without_ranges(got) == without_ranges(wanted)


def without_ranges(schema: Schema) -> Schema:
    """The same schema, saying of values only what they look like."""
    if isinstance(schema, Items):
        return Items(tuple(map(without_ranges, schema.items)))
    if isinstance(schema, Fields):
        return Fields(schema.names, tuple(map(without_ranges, schema.items)))
    if isinstance(schema, Tensor):
        return Tensor(schema.dtype, schema.shape)
    return Table(schema.columns, schema.rows) if isinstance(schema, Table) else schema


def with_ranges(found: Schema, wanted: Schema) -> Schema:
    """The schema of a value, with the ranges of `wanted`, which it is the same as."""
    if isinstance(found, Items) and isinstance(wanted, Items):
        return Items(tuple(map(with_ranges, found.items, wanted.items)))
    if isinstance(found, Fields) and isinstance(wanted, Fields):
        return Fields(found.names, tuple(map(with_ranges, found.items, wanted.items)))
    return found if isinstance(wanted, Opaque) else wanted


def is_ranged(schema: Schema) -> bool:
    """Whether a range is declared of any part."""
    return without_ranges(schema) != schema
