"""The keys of an owner's rows, as the 64 uniform bytes each that protocols work on.

A key is one column or several. Values are integers, text or bytes, and the type counts: the integer 1 and the text
"1" are different keys. Integers are equal whatever their width (uint8, int64, beyond 64 bits); text is compared by
code points, so strip, fold case and normalise (`unicodedata.normalize`) at both owners before. Several columns
compare one by one: ("ab", "c") differs from ("a", "bc").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core import sets
from ..errors import InputError

Array = np.ndarray[Any, np.dtype[Any]]

SHOWN = 5  # rows named in an error, to their owner only
_DOMAIN = "argot psi"


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Distinct keys of an owner's rows.

    Attributes:
        items: uint8 of shape (rows, 64). As secret as the keys where those can be guessed.
        kinds: "integer", "text" or "bytes" for each key column: public, must be equal at both owners.
    """

    items: Array
    kinds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"Keys({len(self)} rows of {', '.join(self.kinds)})"


def read_keys(*columns: Any, names: Sequence[str] = ()) -> Keys:
    """The keys made of these columns, together.

    Args:
        columns: each one-dimensional, of the same length: an array, a list, a pandas or polars column.
        names: of the columns, for messages; otherwise their positions.

    Raises:
        InputError: a column is not of integers, text or bytes, has values missing or of mixed types; lengths differ;
            keys repeat. Tells columns, counts and a few row numbers (from 0), never a value.
    """
    if not columns:
        raise InputError("no key column", wanted="at least one")
    titles = [repr(name) for name in names] or [str(place) for place in range(len(columns))]
    try:
        items, kinds = sets.uniform([_plain(c, title) for c, title in zip(columns, titles, strict=True)], _DOMAIN)
    except sets.BadKey as error:
        reason, column, row = error.args
        raise InputError(
            f"key column {titles[column]} has {reason}, first in row {row}",
            wanted="integers, text or bytes, all of one type, none missing",
            todo="drop or fill rows without a key; convert the column to one type",
        ) from None
    except ValueError as error:
        raise InputError(str(error)) from None
    _refuse_duplicates(items)
    return Keys(items, tuple(kinds))


def _plain(column: Any, title: str) -> Any:
    """An int64 or uint64 array, or a list of Python objects."""
    array = column if isinstance(column, list) else np.asarray(column)
    if isinstance(array, list):
        return array
    if array.ndim != 1:
        raise InputError(f"key column {title} has shape {array.shape}", wanted="one dimension")
    kind = array.dtype.kind
    if kind == "i":
        return array.astype(np.int64)
    if kind == "u":
        return array.astype(np.uint64)
    if kind in "OUST":
        return array.tolist()
    raise InputError(
        f"key column {title} is of {array.dtype}",
        wanted="integers, text or bytes",
        todo="floats and dates have no one exact form: convert them, at both owners alike"
        + ("; integers with values missing are read as floats" if kind == "f" else ""),
    )


def _refuse_duplicates(items: Array) -> None:
    count, repeats = sets.duplicates(items, SHOWN)
    if not count:
        return
    rows = ", ".join(f"{row} (as {first})" for first, row in repeats)
    raise InputError(
        f"{count} of {len(items)} rows have the key of an earlier row: {rows}{', ...' if count > SHOWN else ''}",
        wanted="distinct keys",
        todo="drop or aggregate the repeated rows, or add a column to the key",
    )
