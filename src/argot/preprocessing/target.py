"""The column that a model shall predict: found in a frame, and checked by its owner before it is shared."""

from __future__ import annotations

from ..api.calls import device as at
from ..api.handles import Handle
from ..api.places import Party
from ..errors import InputError
from ..frame.owner import Split
from ..frame.vertical import Frame
from . import scaler


def column(y: Handle | Frame) -> Handle:
    """The label as a handle of floats at its owner or on the device."""
    if isinstance(y, Frame):
        names = y.columns
        if len(names) != 1:
            raise InputError(f"labels in {len(names)} columns: {', '.join(names)}", wanted="one column")
        return y[names[0]]
    if not isinstance(y, Handle):
        raise InputError(f"labels in a {type(y).__name__}", wanted="a column of a frame: frame['y']")
    return y


def checked(label: Handle, splits: list[Split]) -> Handle:
    """The label, once its owner has found only 0 and 1 in it."""
    if not isinstance(label.place, Party):
        return label
    path = label.ref.path
    name = path[-1] if path and isinstance(path[-1], str) else ""
    return at(label.place)(scaler.labels)(label, name, splits)
