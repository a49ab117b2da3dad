"""Argot: privacy computing in Python. Institutions analyse and model their joint data, and nobody learns more than
they agreed to.

    fed = argot.local("alice", "bob", "carol")          # or argot.connect("federation.toml")
    mpc = fed.mpc(*fed.parties)

    @argot.device(fed["alice"])
    def load(): ...

    @argot.device(mpc)
    def train(x, y): ...

    print(argot.reveal(train(load(), ...), to=fed["alice"]))
    print(fed.report())

Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api.calls import device as device
    from .api.connect import connect as connect
    from .api.federation import Federation as Federation
    from .api.handles import Handle as Handle
    from .api.local import local as local
    from .api.places import MpcDevice as MpcDevice
    from .api.places import Party as Party
    from .api.protocols import protocols as protocols
    from .api.public import public as public
    from .api.reveal import psi_join as psi_join
    from .api.reveal import reveal as reveal
    from .api.reveal import within as within
    from .devices.schema import spec as spec
    from .errors import ArgotError as ArgotError
    from .runtime.link import Link as Link

__version__ = "0.1.0"

_HOME = {
    "ArgotError": "errors",
    "Federation": "api.federation",
    "Handle": "api.handles",
    "Link": "runtime.link",
    "MpcDevice": "api.places",
    "Party": "api.places",
    "connect": "api.connect",
    "device": "api.calls",
    "local": "api.local",
    "protocols": "api.protocols",
    "psi_join": "api.reveal",
    "public": "api.public",
    "reveal": "api.reveal",
    "spec": "devices.schema",
    "within": "api.reveal",
}
_MODULES = ("errors", "frame", "groups", "linear", "mpc", "nn", "order", "preprocessing", "random", "stats", "vm")

__all__ = ["__version__", *_HOME, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
