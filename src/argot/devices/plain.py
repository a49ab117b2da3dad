"""The plain device: Python functions of the user, at one party.

Functions come frozen, that is as they were when they were called. An agent that `argot.local` started gets them by
cloudpickle from its own driver (`code = "any"`). Any other agent loads them by name from its installed packages
(`code = "installed"`); for those, nothing is unpickled and arguments are values in the form of `codec`.
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import msgspec

from ..errors import ArgotError, ConfigError, InputError, ProgramError
from . import codec

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Slot:
    """Stands in the arguments for input number `index` of the node."""

    index: int


def fill(template: Any, inputs: list[Any]) -> Any:
    """The arguments with the inputs at their slots. Looks into lists, tuples and dicts."""
    if isinstance(template, Slot):
        return inputs[template.index]
    if type(template) in (list, tuple):
        return type(template)(fill(item, inputs) for item in template)
    if type(template) is dict:
        return {key: fill(item, inputs) for key, item in template.items()}
    return template


def freeze(function: Callable[..., Any], arguments: Any) -> bytes:
    """Function, closure and arguments as they are now, for an agent with `code = "any"` or for tracing later."""
    frozen = io.BytesIO()
    with _by_value(function):
        try:
            _pickler()(frozen).dump((function, arguments))
            return frozen.getvalue()
        except ArgotError:  # a handle among what is captured
            raise
        except Exception as error:
            raise ProgramError(
                f"{getattr(function, '__name__', function)} cannot be frozen: {error}",
                wanted="a function whose closure and arguments can be pickled",
                todo="open files and connections inside the function",
            ) from error


def thaw(frozen: bytes) -> tuple[Callable[..., Any], Any]:
    """The inverse of `freeze`. Only for bytes from this process or from the driver of an embedded agent."""
    function, arguments = pickle.Unpickler(io.BytesIO(frozen)).load()  # noqa: S301 - see the docstring
    return function, arguments


@cache
def _pickler() -> Any:
    """cloudpickle's, which leaves a function's file name out since 3.1.3: errors are to name the user's line."""
    import cloudpickle

    base = cloudpickle.Pickler
    reduce = base.dispatch_table[CodeType]

    def with_file(code: CodeType) -> Any:
        make, parts = reduce(code)
        return _code, (make, parts, code.co_filename)

    return type("Pickler", (base,), {"dispatch_table": base.dispatch_table.new_child({CodeType: with_file})})


def _code(make: Callable[..., CodeType], parts: tuple[Any, ...], file: str) -> CodeType:
    return make(*parts).replace(co_filename=file)


@contextmanager
def _by_value(function: Callable[..., Any]) -> Iterator[None]:
    """Freeze functions of the user's own modules whole, so that later changes to the module do not matter."""
    import cloudpickle

    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if module is None or _is_installed(module) or module.__name__ == "__main__":
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _is_installed(module: ModuleType) -> bool:
    """True for the standard library, site-packages and this package."""
    if module.__name__.partition(".")[0] == __name__.partition(".")[0]:
        return True
    if not getattr(module, "__file__", None):
        return True
    file = Path(str(module.__file__)).resolve()
    roots = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(file.is_relative_to(Path(root).resolve()) for root in roots if root)


def installed_name(function: Callable[..., Any]) -> str | None:
    """ "package.module:name" of a function that can be loaded by name, else None."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if not module or module == "__main__" or not name.isidentifier():
        return None
    found = getattr(sys.modules.get(module), name, None)
    return f"{module}:{name}" if getattr(found, "__wrapped__", found) is function or found is function else None


def load_installed(name: str) -> Callable[..., Any]:
    """The function of an installed package. ConfigError if there is none of that name."""
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"no installed function {name!r}", wanted='"package.module:name"') from error
    function = getattr(function, "__wrapped__", function)
    if not callable(function):
        raise ConfigError(f"{name!r} is not a function")
    return function


def pack_arguments(template: Any) -> bytes:
    """Arguments for an installed function: values and slots, no pickle. InputError for anything else."""
    return msgspec.msgpack.encode(_pack(template))


def _pack(item: Any) -> list[Any]:
    if isinstance(item, Slot):
        return ["slot", item.index]
    if type(item) in (list, tuple):
        return [type(item).__name__, [_pack(part) for part in item]]
    if type(item) is dict and all(isinstance(key, str) for key in item):
        return ["dict", list(item), [_pack(part) for part in item.values()]]
    return ["value", b"".join(bytes(part) for part in codec.encode(item))]


def unpack_arguments(data: bytes) -> Any:
    return _unpack(msgspec.msgpack.decode(data), 0)


def _unpack(item: Any, depth: int) -> Any:
    if depth > codec.MAX_DEPTH:
        raise InputError("arguments nested too deep")
    match item:
        case ["slot", int(index)]:
            return Slot(index)
        case ["list", list(parts)]:
            return [_unpack(part, depth + 1) for part in parts]
        case ["tuple", list(parts)]:
            return tuple(_unpack(part, depth + 1) for part in parts)
        case ["dict", list(names), list(parts)] if all(isinstance(name, str) for name in names):
            return dict(zip(names, (_unpack(part, depth + 1) for part in parts), strict=True))
        case ["value", bytes(data)]:
            return codec.decode(data)
    raise InputError("arguments that are not arguments")
