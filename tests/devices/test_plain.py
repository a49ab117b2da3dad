"""Functions frozen and thawed, arguments with slots, and functions found by name."""

import threading

import numpy as np
import pytest

from argot.devices import plain
from argot.errors import ArgotError, ConfigError, InputError, ProgramError
from argot.frame import owner

GLOBAL = [1]


def uses_a_global(x):
    return x + GLOBAL[0]


def test_a_frozen_function_is_as_it_was(monkeypatch):
    frozen = plain.freeze(uses_a_global, ((plain.Slot(0),), {}))
    monkeypatch.setattr(f"{__name__}.GLOBAL", [50])
    function, (args, kwargs) = plain.thaw(frozen)
    args, kwargs = plain.fill((args, kwargs), [2])
    assert function(*args, **kwargs) == 3


def test_slots_are_filled_at_any_depth():
    template = ([plain.Slot(1), {"k": (plain.Slot(0),)}], "text")
    assert plain.fill(template, ["a", "b"]) == (["b", {"k": ("a",)}], "text")


def test_what_cannot_be_frozen():
    lock = threading.Lock()
    with pytest.raises(ProgramError, match="frozen"):
        plain.freeze(lambda: lock, ())


def test_functions_have_names_only_where_they_can_be_found():
    assert plain.installed_name(owner.read_csv) == "argot.frame.owner:read_csv"
    assert plain.installed_name(lambda: 1) is None
    assert plain.load_installed("argot.frame.owner:read_csv") is owner.read_csv
    for name in ("argot.frame.owner:nothing", "no_such_module_here:f", "", "argot.frame.owner"):
        with pytest.raises(ConfigError):
            plain.load_installed(name)
    with pytest.raises(ConfigError, match="function"):
        plain.load_installed("argot.devices.codec:MAX_DEPTH")


def test_arguments_for_installed_functions_are_plain_values():
    template = (([1, "x", plain.Slot(2)],), {"y": {"z": (np.arange(3), None)}})
    args, kwargs = plain.unpack_arguments(plain.pack_arguments(template))
    assert args == ([1, "x", plain.Slot(2)],)
    assert kwargs["y"]["z"][0].tolist() == [0, 1, 2]
    with pytest.raises(ArgotError):
        plain.pack_arguments((lambda: 1,))


@pytest.mark.parametrize("data", [b"\x90", b"\x93\x01\x02\x03", b"\x92\xa4slot\xa1x"])
def test_bytes_that_are_no_arguments(data):
    with pytest.raises(InputError):
        plain.unpack_arguments(data)
