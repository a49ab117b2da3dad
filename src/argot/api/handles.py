"""A handle stands for a value that lives elsewhere. It never shows the value, only what may be said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..devices.schema import Fields, Items, Path, Schema, Step, Table, Tensor, step_into
from ..errors import InputError, MoveRefused
from ..graph.graph import Product, Ref

if TYPE_CHECKING:
    from .federation import Federation
    from .places import MpcDevice, Party

Owner: TypeAlias = "Party | MpcDevice"


class Handle:
    """The result of a call on a device, or a part of one.

    Parts are taken as in Python: `h[0]`, `h["age"]`, `h[["age", "income"]]`, `a, b = h`. `shape`, `dtype` and
    `schema` wait until the owner's agent has said what the value looks like. `value()` and `np.asarray(h)` fetch
    it if the driver acts for its owner; secrets have to be revealed to somebody first.
    """

    __slots__ = ("__weakref__", "_federation", "_path", "_product")
    __hash__ = object.__hash__

    def __init__(self, federation: Federation, product: Product, path: Path = ()) -> None:
        self._federation, self._product, self._path = federation, product, path
        federation.hold(self, product)

    @property
    def place(self) -> Owner:
        """The party that owns the value, or the device that holds it."""
        return self._federation.place(self._product.owner)

    @property
    def federation(self) -> Federation:
        return self._federation

    @property
    def ref(self) -> Ref:
        return Ref(self._product, self._path)

    @property
    def state(self) -> str:
        """ "pending", "running", "ready" or "failed"."""
        return {"sent": "running"}.get(self._product.record.state, self._product.record.state)

    @property
    def progress(self) -> tuple[int, int] | None:
        """How far the call is, as (done, total) in units of its own, if it tells: loops and intersections do."""
        return self._federation.client.progress.get(self._product.record.number)

    @property
    def schema(self) -> Schema:
        """Shapes and types; waits for them. Raises what the call raised."""
        self._federation.wait_for(self._product.record, schema=self._product)
        found = self.ref.schema
        assert found is not None
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an array, or (rows, columns) of a table."""
        schema = self.schema
        if isinstance(schema, Table):
            return (schema.rows, len(schema.columns))
        if not isinstance(schema, Tensor):
            raise InputError(f"{schema} has no shape")
        return schema.shape

    @property
    def dtype(self) -> str:
        schema = self.schema
        if not isinstance(schema, Tensor):
            raise InputError(f"{schema} has no dtype")
        return schema.dtype

    @property
    def columns(self) -> tuple[str, ...]:
        """The column names of a table."""
        schema = self.schema
        if isinstance(schema, Table):
            return schema.names
        if isinstance(schema, Fields):
            return schema.names
        raise InputError(f"{schema} has no columns")

    def wait(self, progress: Callable[[int, int], None] | None = None) -> Handle:
        """Wait until the value exists. Raises what the call raised.

        Args:
            progress: called with (done, in all) as the call goes on, if it tells.
        """
        self._federation.wait_for(self._product.record, progress=progress)
        return self

    def value(self) -> Any:
        """The value, if the driver acts for its owner. MoveRefused otherwise, and for secrets."""
        if self._product.visibility != "private":
            raise MoveRefused(
                f"{self!r} is held by {self._product.owner}, not by a party",
                wanted="a value of a party that the driver acts for",
                todo="argot.reveal(x, to=party) first",
            )
        self.wait()
        return self._federation.fetch(self._product, self._path)

    def __getitem__(self, key: Any) -> Handle:
        step: Step = tuple(map(str, key)) if isinstance(key, list) else key
        if not isinstance(step, int | str | tuple) or isinstance(step, bool):
            raise InputError(
                f"a handle has no part {key!r}",
                wanted="a number, a name or a list of names",
                todo="index arrays inside a function on the device",
            )
        known = self._product.schema
        if known is not None or isinstance(step, int):
            step_into(self.schema, step)
        return Handle(self._federation, self._product, (*self._path, step))

    def __iter__(self) -> Iterator[Handle]:
        schema = self.schema
        if isinstance(schema, Items):
            return iter([self[i] for i in range(len(schema.items))])
        raise InputError(f"{schema} cannot be unpacked", wanted="a function that returns a tuple or list")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.value(), dtype=dtype)

    def __float__(self) -> float:
        return float(self.value())

    def __int__(self) -> int:
        return int(self.value())

    def __bool__(self) -> bool:
        raise InputError("a handle is neither true nor false", todo="reveal the value, or decide inside a function")

    def __repr__(self) -> str:
        schema = None if self._product.schema is None else self.ref.schema
        whose = self._product.visibility if self._product.visibility != "private" else ""
        parts = [f"<handle at {self._product.owner}", str(schema or "?"), whose, self.state]
        return ", ".join(part for part in parts if part) + ">"

    def _repr_html_(self) -> str:
        return f"<code>{_escape(repr(self))}</code>"

    def __reduce__(self) -> Any:
        raise InputError("a handle cannot be captured or stored", todo="pass it as an argument of the call")


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
