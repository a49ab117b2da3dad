"""A frame: one table whose columns lie with different parties, row i of each belonging together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, overload

from ..api.calls import device
from ..api.handles import Handle
from ..api.places import Party
from ..errors import InputError
from . import owner


class _Split(NamedTuple):
    """How a frame came out of another; `both` are the halves at one owner, one object there."""

    both: Handle
    test_size: float
    seed: int
    half: int


class Frame:
    """Columns of several parties over the same rows, in the same order.

    `frame["age"]` is the column as a handle at its owner; `frame[["age", "income"]]` is a smaller frame. Rows never
    leave their owners; what runs on a frame runs at each owner or on a ciphertext device.

    Args:
        parts: each party's table. All have as many rows; nobody but the caller can promise that rows correspond,
            which is why frames come from `read` and `join`.
    """

    def __init__(self, parts: dict[Party, Handle]) -> None:
        if not parts:
            raise InputError("a frame of no parties", wanted="at least one table")
        self.parts = dict(parts)
        self._splits: tuple[_Split, ...] = ()

    @property
    def owners(self) -> dict[str, Party]:
        """The owner of each column, in order. InputError if two parties have a column of the same name."""
        found: dict[str, Party] = {}
        for party, table in self.parts.items():
            for name in table.columns:
                if name in found:
                    raise InputError(
                        f"both {found[name].name} and {party.name} have a column {name!r}",
                        wanted="distinct names",
                        todo="choose columns when reading, or rename one at its owner",
                    )
                found[name] = party
        return found

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        return list(self.owners)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns); waits until both owners have their part."""
        rows = {party.name: table.shape[0] for party, table in self.parts.items()}
        if len(set(rows.values())) > 1:
            raise InputError(
                f"parts of different lengths: {rows}", wanted="as many rows at each party", todo="join the tables first"
            )
        return next(iter(rows.values())), len(self.columns)

    @overload
    def __getitem__(self, key: str) -> Handle: ...
    @overload
    def __getitem__(self, key: list[str]) -> Frame: ...
    def __getitem__(self, key: str | list[str]) -> Handle | Frame:
        owners = self.owners
        names = [key] if isinstance(key, str) else list(key)
        missing = [name for name in names if name not in owners]
        if missing:
            raise InputError(f"no column {', '.join(map(repr, missing))}", wanted=f"out of {', '.join(owners)}")
        if isinstance(key, str):
            return self.parts[owners[key]][key]
        chosen = {party: [name for name in names if owners[name] == party] for party in self.parts}
        return self._like({party: self.parts[party][mine] for party, mine in chosen.items() if mine})

    def _like(self, parts: dict[Party, Handle], *splits: _Split) -> Frame:
        frame = Frame(parts)
        frame._splits = (*self._splits, *splits)
        return frame

    def drop(self, *names: str) -> Frame:
        """The frame without these columns."""
        self[list(names)]  # complains about names that are not there
        return self[[name for name in self.columns if name not in names]]

    def split(self, test_size: float = 0.25, random_state: int = 0) -> tuple[Frame, Frame]:
        """Rows for training and rows for testing; the seed is public, and every owner draws the same rows."""
        if not 0 < test_size < 1:
            raise InputError(f"test_size={test_size}", wanted="a part of the rows, between 0 and 1")
        halves = {party: device(party)(owner.split)(t, test_size, random_state) for party, t in self.parts.items()}
        both = next(iter(halves.values()))
        train, test = (
            self._like({party: half[i] for party, half in halves.items()}, _Split(both, test_size, random_state, i))
            for i in (0, 1)
        )
        return train, test

    def splits(self) -> list[owner.Split]:
        """The splits that this frame's rows went through, for `owner.before`; waits for the numbers of rows."""
        return [(s.both[0].shape[0] + s.both[1].shape[0], s.test_size, s.seed, s.half) for s in self._splits]

    def matrices(self, columns: Sequence[str] | None = None) -> dict[Party, Handle]:
        """Each owner's columns as a float64 matrix at that owner; InputError there for columns of text."""
        frame = self if columns is None else self[list(columns)]
        return {party: device(party)(owner.matrix)(t, list(t.columns)) for party, t in frame.parts.items()}

    def __repr__(self) -> str:
        parts = "; ".join(f"{party.name}: {table!r}" for party, table in self.parts.items())
        return f"Frame({parts})"


def read(
    party: Party,
    name: str,
    columns: list[str] | None = None,
    text: list[str] | None = None,
    ranges: Mapping[str, tuple[float | None, float | None]] | None = None,
) -> Frame:
    """A table of one party as a frame: a name from its agent's configuration, or a CSV path in embedded mode.

    Args:
        columns: which columns; all by default.
        text: columns that stay text whatever they look like, such as ids.
        ranges: public limits of columns, such as {"age": (0, 120)}. The owner's agent checks them; they last through
            selections and joins, and what is computed on shares of such columns costs less.
    """
    return Frame({party: party.table(name, columns, text, ranges)})


def join(
    left: Frame,
    right: Frame,
    on: str | Sequence[str],
    helper: Party | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Frame:
    """The rows whose keys both parties have, found by private set intersection (`argot.psi.ecdh`).

    Both owners learn which of their rows are in the intersection and the size of the other's table; `helper` and
    the driver learn the size of the intersection. Nobody learns a key that is not their own.

    Args:
        left, right: frames of one party each.
        on: the key column, or columns, in both; not part of the result.
        helper: a party without a table that is told the size.
        progress: called with (rows done, rows in all) while both owners work; the call then waits for the result.

    Raises:
        InputError: repeated keys (count and row numbers to the owner only), an empty intersection, no such column.
    """
    if len(left.parts) != 1 or len(right.parts) != 1:
        raise InputError("a join of frames that have several parties", wanted="two frames of one party each")
    ((one, a),), ((two, b),) = left.parts.items(), right.parts.items()
    keys = [on] if isinstance(on, str) else list(on)
    joined = one.federation.psi(a, b, on=keys, helper=helper)
    if progress is not None:
        joined[0].wait(progress)
    parts = dict(zip((one, two), joined, strict=True))
    return Frame({p: t[[name for name in t.columns if name not in keys]] for p, t in parts.items()})
