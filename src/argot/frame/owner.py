"""What an owner does with its own table: read, select, split, turn into numbers.

These functions run inside the owner's agent, by name, so they need neither pandas nor code from the driver. Tables
are `Columns`: one-dimensional NumPy arrays (float64, int64 or str) of one length, by name.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..devices.schema import Columns
from ..errors import InputError

Split = tuple[int, float, int, int]
"""A split that a table went through: rows before it, test_size, seed, and which half the table is."""


def read_csv(path: str, columns: Sequence[str] | None = None, text: Sequence[str] = ()) -> Columns:
    """The columns of a CSV file (comma, header line, UTF-8).

    Args:
        path: where the file is, seen from the owner.
        columns: which columns, in this order; all by default.
        text: columns that stay strings whatever they look like (ids such as "007").

    Returns:
        A table. A column becomes int64 if every cell is an integer, float64 if every cell is a number or empty
        (empty is NaN), str otherwise.

    Raises:
        InputError: no such file, no such column, or a line with another number of cells (with its number).
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"no file {path}", wanted="a CSV file", todo="check the path at the party that owns the file")
    with file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.reader(lines)
        header = next(reader, None)
        if not header:
            raise InputError(f"{path} is empty", wanted="a header line and rows")
        rows = []
        for row in reader:
            if len(row) != len(header):
                raise InputError(
                    f"line {reader.line_num} of {path} has {len(row)} cells", wanted=f"{len(header)}, as in the header"
                )
            rows.append(row)
    if len(set(header)) != len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise InputError(f"{path} names a column twice: {', '.join(twice)}", wanted="distinct column names")
    wanted = list(columns) if columns is not None else header
    _require(header, [*wanted, *text], path)
    cells = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {name: () for name in header}
    return Columns({name: np.array(cells[name], dtype=str) if name in text else _typed(cells[name]) for name in wanted})


def write_csv(table: Columns, path: str) -> int:
    """Write a table as CSV at its owner; returns the number of rows."""
    with Path(path).open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*(column.tolist() for column in table.values()), strict=True))
    return table.rows


def select(table: Columns, columns: Sequence[str]) -> Columns:
    """The named columns, in this order."""
    _require(table, columns, "the table")
    return Columns({name: table[name] for name in columns})


def split(table: Columns, test_size: float, seed: int) -> tuple[Columns, Columns]:
    """Rows for training and rows for testing, drawn with a public seed.

    Every owner of an aligned frame draws the same rows, because the permutation depends on the seed and the
    number of rows only (PCG64 is fine here: the split is public).
    """
    train, test = halves(table.rows, test_size, seed)
    return table.take(train), table.take(test)


def halves(rows: int, test_size: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows `split` takes for training and for testing."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(rows)
    cut = rows - round(rows * test_size)
    return order[:cut], order[cut:]


def before(rows: np.ndarray, splits: Sequence[Split]) -> np.ndarray:
    """Row numbers of a table after some splits, as they were before the first."""
    for count, test_size, seed, half in reversed(splits):
        rows = halves(count, test_size, seed)[half][rows]
    return rows


def matrix(table: Columns, columns: Sequence[str]) -> np.ndarray:
    """The named columns as a float64 matrix (rows, columns).

    Raises:
        InputError: a column is missing or not numeric; names the columns, never the cells.
    """
    _require(table, columns, "the table")
    texts = [name for name in columns if table[name].dtype.kind not in "iufb"]
    if texts:
        raise InputError(
            f"not numeric: {', '.join(texts)}", wanted="columns of numbers", todo="encode or drop these columns first"
        )
    out = np.empty((table.rows, len(columns)))
    for i, name in enumerate(columns):
        out[:, i] = table[name]
    return out


def vector(table: Columns, column: str) -> np.ndarray:
    """One numeric column as float64 (rows,)."""
    return matrix(table, [column])[:, 0]


def _typed(cells: Sequence[str]) -> np.ndarray:
    texts = np.array(cells, dtype=str)
    if not texts.size:
        return np.zeros(0)
    try:
        return texts.astype(np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.where(texts == "", "nan", texts).astype(np.float64)
    except ValueError:
        return texts


def _require(there: Sequence[str] | Columns, wanted: Sequence[str], where: str) -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        raise InputError(
            f"no column {', '.join(map(repr, missing))} in {where}", wanted=f"one of {', '.join(map(repr, there))}"
        )
