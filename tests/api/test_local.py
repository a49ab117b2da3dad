"""A federation of three processes on this machine: the whole way from a call to a revealed value."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

import argot
from argot.errors import (
    ArgotError,
    EncodeError,
    FunctionFailed,
    InputError,
    MoveRefused,
    PartyLost,
    ProgramError,
    TraceError,
    UnknownNameError,
)

NAMES = ("alice", "bob", "carol")


@pytest.fixture(scope="module")
def fed():
    with argot.local(*NAMES) as federation:
        yield federation


@pytest.fixture(scope="module")
def mpc(fed):
    return fed.mpc(*fed.parties)


def at(place, function, *args, **kwargs):
    return argot.device(place)(function)(*args, **kwargs)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_program_on_shares(fed, mpc):
    alice, bob, carol = fed.parties
    x = at(alice, lambda: np.array([1.5, -2.0, 3.0]))
    y = at(bob, lambda: np.array([2.0, 4.0, 0.5]))
    z = at(mpc, lambda a, b: a * b, x, y)
    found = np.asarray(argot.reveal(z, to=carol))
    np.testing.assert_allclose(found, [3.0, -8.0, 1.5], atol=2**-16)


def test_trees_go_in_and_come_out(fed, mpc):
    alice, bob, _ = fed.parties
    both = at(alice, lambda: {"a": np.ones(2), "b": (np.full(2, 3.0), 2.0)})
    out = at(
        mpc,
        lambda t, y, scale: (t["a"] * y, {"s": t["b"][0] * scale + t["b"][1]}),
        both,
        at(bob, lambda: np.full(2, 5.0)),
        2,
    )
    first, second = out
    assert first.shape == (2,)
    assert second["s"].dtype == "float64"
    np.testing.assert_allclose(argot.reveal(second["s"], to=bob), [8.0, 8.0], atol=1e-4)
    whole = argot.reveal(out, to=bob).value()
    np.testing.assert_allclose(whole[0], [5.0, 5.0], atol=1e-4)
    np.testing.assert_allclose(whole[1]["s"], [8.0, 8.0], atol=1e-4)


def test_the_same_handle_twice_and_secrets_as_inputs(fed, mpc):
    x = at(fed["alice"], lambda: np.array([3.0, 4.0]))
    square = at(mpc, lambda a, b: a * b, x, x)
    fourth = at(mpc, lambda a, b: a * b, square, square)
    np.testing.assert_allclose(argot.reveal(fourth, to="alice"), [81.0, 256.0], atol=1e-2)


def test_integers_and_booleans_keep_their_kind(fed, mpc):
    x = at(fed["alice"], lambda: np.array([1, -2, 3]))
    y = at(fed["bob"], lambda: np.array([5, -2, -7]))
    total, less = at(mpc, lambda a, b: (a + b, a < b), x, y)
    assert (total.dtype, less.dtype) == ("int64", "bool")
    assert np.asarray(argot.reveal(total, to="bob")).tolist() == [6, -4, -4]
    assert np.asarray(argot.reveal(less, to="bob")).tolist() == [True, False, False]


def test_calls_return_at_once_and_handles_say_only_what_they_may(fed):
    handle = at(fed["alice"], lambda: (time.sleep(0.5), np.arange(4))[1])
    assert handle.state in ("pending", "running")
    assert "alice" in repr(handle) and "?" in repr(handle)
    assert handle.shape == (4,)
    assert repr(handle) == "<handle at alice, int64[4], ready>"
    assert "int64[4]" in handle._repr_html_() and "<handle" not in handle._repr_html_()


def test_two_tasks_at_two_parties_run_side_by_side(fed):
    fed.wait(*(at(party, lambda: None) for party in fed.parties))
    start = time.monotonic()
    fed.wait(*(at(party, lambda: time.sleep(1.0)) for party in fed.parties[:2]))
    assert time.monotonic() - start < 1.7


def test_arguments_and_closures_are_frozen_when_the_function_is_called(fed, mpc):
    alice = fed["alice"]
    numbers, step = [1.0, 2.0], {"by": 10.0}
    slow = at(alice, lambda: (time.sleep(0.3), np.zeros(2))[1])
    plain = at(alice, lambda x, y: x + np.array(y) + step["by"], slow, numbers)
    secret = at(mpc, lambda x: x + step["by"], slow)
    numbers[0], step["by"] = 99.0, 77.0
    assert plain.value().tolist() == [11.0, 12.0]
    np.testing.assert_allclose(argot.reveal(secret, to="bob"), [10.0, 10.0], atol=1e-4)


def test_a_value_cannot_be_moved_to_another_party(fed, mpc):
    x = at(fed["alice"], lambda: np.ones(2))
    with pytest.raises(MoveRefused, match=r"bob was given .* of alice"):
        at(fed["bob"], lambda v: v, x)
    with pytest.raises(MoveRefused, match="of mpc"):
        at(fed["bob"], lambda v: v, at(mpc, lambda v: v, x))
    with pytest.raises(MoveRefused, match="reveal"):
        at(mpc, lambda v: v + 1.0, x).value()


def test_a_device_takes_no_secrets_of_another(fed, mpc):
    other = fed.mpc(*fed.parties, name="other")
    with pytest.raises(MoveRefused, match="of other"):
        at(mpc, lambda v: v, at(other, lambda v: v, at(fed["alice"], lambda: np.ones(2))))


def test_raw_arrays_are_refused_unless_public(fed, mpc):
    large = np.arange(65.0)
    x = at(fed["alice"], lambda: np.ones(65))
    with pytest.raises(InputError, match=r"argot\.public"):
        at(mpc, lambda a, b: a + b, x, large)
    with pytest.raises(InputError, match=r"argot\.public"):
        at(fed["alice"], lambda a: a, [1, {"deep": large}])
    with pytest.raises(ProgramError, match="public"):
        argot.reveal(at(mpc, lambda a: a + large, x), to="bob").value()
    constant = argot.public(large)
    for call in (lambda a: a + constant, lambda a, b=None: a + constant):
        np.testing.assert_allclose(argot.reveal(at(mpc, call, x), to="bob"), large + 1, atol=1e-3)
    np.testing.assert_allclose(argot.reveal(at(mpc, lambda a, b: a + b, x, constant), to="bob"), large + 1, atol=1e-3)
    assert any("public" in line for line in fed.report().public_constants)


def test_a_declared_schema_is_used_at_once_and_checked(fed):
    @argot.device(fed["alice"], returns=argot.spec((3,), "int64"))
    def three():
        time.sleep(0.3)
        return np.arange(3)

    @argot.device(fed["alice"], returns=argot.spec((4,)))
    def wrong():
        return np.arange(3)

    assert three().shape == (3,)
    with pytest.raises(InputError, match=r"int64\[3\]") as caught:
        wrong().value()
    assert "float64[4]" in str(caught.value) and caught.value.party == "alice"


def test_an_error_of_a_function_names_its_place(fed):
    def fails():
        raise KeyError("there")

    handle = at(fed["bob"], fails)
    with pytest.raises(FunctionFailed, match="KeyError") as caught:
        handle.value()
    error = caught.value
    assert error.party == "bob" and "test_local.py" in str(error.where) and error.reference
    assert "raise KeyError" in "".join(error.__notes__)
    with pytest.raises(FunctionFailed, match="KeyError"):
        at(fed["bob"], lambda x: x, handle).value()


def test_a_trace_error_is_raised_at_the_first_use_with_the_place_of_the_call(fed, mpc):
    x = at(fed["alice"], lambda: np.ones(2))
    handle = at(mpc, lambda v: v if v[0] > 0 else -v, x)
    with pytest.raises(TraceError) as caught:
        handle.shape  # noqa: B018
    assert "test_local.py" in str(caught.value.where)
    assert caught.value.__cause__ is not None


def test_what_a_device_cannot_take_is_said_to_the_caller(fed, mpc):
    table = at(fed["alice"], lambda: {"id": np.array(["a", "b"]), "x": np.ones(2)})
    with pytest.raises(InputError, match="'id'"):
        at(mpc, lambda t: t["x"], table).wait()
    assert np.asarray(argot.reveal(at(mpc, lambda t: t * 2.0, table["x"]), to="alice")).tolist() == [2.0, 2.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e9])
def test_numbers_that_cannot_be_encoded_are_refused_by_their_owner(fed, mpc, bad):
    x = at(fed["bob"], lambda: {"age": np.array([1.0, 2.0]), "income": np.array([3.0, bad])})
    with pytest.raises(EncodeError, match="income") as caught:
        at(mpc, lambda t: t["age"] + t["income"], x).wait()
    assert caught.value.party == "bob" and "1" in str(caught.value)


def test_shapes_that_do_not_match(fed, mpc):
    x, y = at(fed["alice"], lambda: np.ones(2)), at(fed["bob"], lambda: np.ones(3))
    with pytest.raises(TraceError, match=r"\(2,\)"):
        at(mpc, lambda a, b: a + b, x, y).wait()


def test_names_that_do_not_exist(fed):
    with pytest.raises(UnknownNameError, match="dave") as caught:
        fed["dave"]
    assert "alice, bob, carol" in str(caught.value)
    with pytest.raises(UnknownNameError, match="aby4") as caught:
        fed.mpc(*fed.parties, protocol="aby4")
    assert caught.value.wanted == "one of aby3, cheetah, semi2k, or auto"
    for parties in (fed.parties, ["alice"]):  # the reference, which computes in the clear, is no protocol for users
        with pytest.raises(UnknownNameError, match="plain") as caught:
            fed.mpc(*parties, protocol="plain")
        assert caught.value.wanted == "one of aby3, cheetah, semi2k, or auto"
    with pytest.raises(ArgotError, match="2 parties"):
        fed.mpc("alice", "bob", protocol="aby3")
    with pytest.raises(ArgotError, match="fraction"):
        fed.mpc(*fed.parties, ring=32, fraction_bits=40)
    with pytest.raises(ArgotError, match="ring"):
        fed.mpc(*fed.parties, ring=48)


@pytest.mark.parametrize(("ring", "fraction"), [(32, 8), (64, 18), (128, 40)])
def test_rings_bring_their_own_fraction_bits(fed, ring, fraction):
    device = fed.mpc(*fed.parties, ring=ring, name=f"ring{ring}")
    assert (device.spec.ring, device.spec.fraction_bits) == (ring, fraction)
    found = argot.reveal(at(device, lambda a: a * a, at(fed["alice"], lambda: np.array([1.5, -2.0]))), to="bob")
    np.testing.assert_allclose(found, [2.25, 4.0], atol=2.0 ** (2 - fraction))


def test_a_missing_part_is_named(fed):
    handle = at(fed["alice"], lambda: {"a": 1.0})
    assert handle["a"].shape == ()
    with pytest.raises(InputError, match="'b'"):
        handle["b"]
    with pytest.raises(InputError, match="unpacked"):
        list(handle["a"])


def test_handles_cannot_be_captured_or_asked_for_truth(fed):
    handle = at(fed["alice"], lambda: 1.0)
    with pytest.raises(InputError, match="captured"):
        at(fed["alice"], lambda: handle)
    with pytest.raises(InputError, match="neither"):
        bool(handle)
    assert float(handle) == 1.0


def test_objects_stay_and_leave_only_in_a_checked_form(fed):
    class Model:
        weight = 3.0

    model = at(fed["alice"], Model)
    assert repr(model.wait()) == "<handle at alice, object, ready>"
    assert at(fed["alice"], lambda m: m.weight, model).value() == 3.0
    with pytest.raises(ArgotError, match="leave"):
        model.value()
    with pytest.raises(MoveRefused, match="leave"):
        argot.reveal(model, to="bob").wait()


def test_frames_stay_frames_at_the_owner_and_leave_as_tables(fed):
    import pandas as pd

    def load():
        return pd.DataFrame({"id": ["x", "y"], "age": [30, 40], "w": [0.5, 1.5]})

    table = at(fed["alice"], load)
    assert table.columns == ("id", "age", "w") and table.shape == (2, 3)
    assert at(fed["alice"], lambda d: type(d).__name__, table).value() == "DataFrame"
    assert table["age"].value().tolist() == [30, 40]
    part = argot.reveal(table[["id", "w"]], to="bob").value()
    assert list(part) == ["id", "w"] and part["id"].tolist() == ["x", "y"]
    assert part.to_pandas()["w"].tolist() == [0.5, 1.5]


def test_the_graph_prints_and_hashes(fed):
    text, digest = str(fed.graph), fed.graph.digest()
    assert "test_local.py" in text and len(digest) == 64
    at(fed["alice"], lambda: 1).wait()
    assert fed.graph.digest() != digest


def test_secrets_are_kept_between_federations(tmp_path):
    with argot.local(*NAMES, directory=tmp_path) as first:
        device = first.mpc(*first.parties)
        x = at(device, lambda v: (v * 2.0, v > 1.5), at(first["alice"], lambda: np.array([1.0, 2.0])))
        first.save(x, "weights")
        first.save(at(first["bob"], lambda: {"mean": 3.5}), "weights")
    for name in NAMES:
        stored = (tmp_path / name / "saved" / "weights.share").read_bytes()
        assert stored and b"fixed" not in stored
    with argot.local(*NAMES, directory=tmp_path) as second:
        device = second.mpc(*second.parties)
        numbers, bits = device.load("weights")
        assert numbers.shape == (2,)
        np.testing.assert_allclose(argot.reveal(numbers, to="bob"), [2.0, 4.0], atol=1e-4)
        assert np.asarray(argot.reveal(bits, to="bob")).tolist() == [False, True]
        assert second["bob"].load("weights")["mean"].value() == 3.5
        with pytest.raises(UnknownNameError, match="wieghts"):
            device.load("wieghts")
        with pytest.raises(ArgotError, match="as it was saved"):
            second.mpc(*second.parties, fraction_bits=16).load("weights").wait()
        with pytest.raises(ArgotError, match="name"):
            device.load("../key")
        second.delete(device, "weights")
        with pytest.raises(UnknownNameError, match="weights"):
            device.load("weights")
        assert second["bob"].load("weights")["mean"].value() == 3.5


def test_saved_shares_that_were_changed_are_refused(tmp_path):
    with argot.local(*NAMES, directory=tmp_path) as fed:
        device = fed.mpc(*fed.parties)
        fed.save(at(device, lambda v: v, at(fed["alice"], lambda: np.ones(2))), "w")
        path = tmp_path / "bob" / "saved" / "w.share"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        with pytest.raises(InputError, match="cannot be opened"):
            device.load("w").wait()


def test_shares_of_different_saves_are_never_mixed(tmp_path):
    with argot.local(*NAMES, directory=tmp_path) as fed:
        device = fed.mpc(*fed.parties)
        x = at(device, lambda v: v, at(fed["alice"], lambda: np.ones(2)))
        fed.save(x, "w")
        path = tmp_path / "bob" / "saved" / "w.share"
        old = path.read_bytes()
        fed.save(x, "w")
        path.write_bytes(old)
        with pytest.raises(ProgramError, match="another version"):
            device.load("w").wait()


def test_closing_twice_and_using_a_closed_federation():
    fed = argot.local("alice", "bob")
    handle = at(fed["alice"], lambda: 1).wait()
    pids = [agent.process.pid for agent in fed._shut_down.peek()[2][1].agents]
    fed.close()
    fed.close()
    assert not any(map(alive, pids))
    with pytest.raises(ProgramError, match="closed"):
        at(fed["alice"], lambda: 1)
    with pytest.raises(ArgotError):
        handle.value()


@pytest.mark.parametrize("names", [(), ("alice", "alice"), ("driver",), ("a b",), ("x" * 40,)])
def test_parties_that_cannot_be(names):
    with pytest.raises(ArgotError):
        argot.local(*names)


def agents_of(fed):
    return {agent.name: agent.process.pid for agent in fed._shut_down.peek()[2][1].agents}


def gone_within(pids, seconds):
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


def test_an_agent_that_is_killed_is_reported_by_name_and_the_others_stop(tmp_path):
    with argot.local(*NAMES, directory=tmp_path) as fed:
        pids = agents_of(fed)
        device = fed.mpc(*fed.parties)
        x = at(fed["alice"], lambda: np.ones(1000))
        running = at(device, lambda v: v * 2.0, x)
        running.wait()
        blocked = at(fed["bob"], lambda: time.sleep(60))
        os.kill(pids["carol"], signal.SIGKILL)
        start, killed = time.monotonic(), time.time()
        with pytest.raises(PartyLost, match="carol") as caught:
            while True:
                at(device, lambda v: v * v, running).wait()
        assert caught.value.party == "carol" and time.monotonic() - start < 10
        with pytest.raises(PartyLost, match="carol"):
            blocked.wait()
        assert gone_within(pids.values(), 15)
    for name in ("alice", "bob"):
        lines = [json.loads(line) for line in (tmp_path / name / "agent.log").read_text().splitlines()]
        (lost,) = [line for line in lines if line["event"] == "lost" and line["peer"] == "carol"]
        assert datetime.fromisoformat(lost["timestamp"]).timestamp() - killed < 10


SCRIPT = """
import argot, os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
fed = argot.local("alice", "bob", "carol")
print(*(agent.process.pid for agent in fed._shut_down.peek()[2][1].agents), flush=True)
{then}
"""


def run_driver(then):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT).format(then=then)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.parametrize(
    ("then", "number"),
    [
        ("time.sleep(60)", signal.SIGKILL),
        ("time.sleep(60)", signal.SIGTERM),
        ("argot.device(fed['bob'])(lambda: time.sleep(60))(); time.sleep(60)", signal.SIGINT),
        ("if os.fork() == 0: time.sleep(30)\nelse: time.sleep(60)", signal.SIGKILL),
        ("raise SystemExit(0)", None),
        ("1 / 0", None),
        ("os._exit(1)", None),
    ],
    ids=["kill -9", "terminate", "Ctrl-C", "kill -9 with a fork", "exit", "exception", "hard exit"],
)
def test_no_agent_outlives_its_driver(then, number):
    driver = run_driver(then)
    with driver:
        assert driver.stdout is not None
        pids = [int(pid) for pid in driver.stdout.readline().split()]
        assert len(pids) == 3 and (number is None or all(map(alive, pids)))
        if number is not None:
            time.sleep(0.3)
            driver.send_signal(number)
        driver.stdout.close()
        driver.wait(10)
        assert gone_within(pids, 5)


def test_a_forked_child_ends_and_leaves_the_federation_alone():
    then = """
pending = argot.device(fed["bob"])(lambda: time.sleep(1) or 3)()
child = os.fork()
if child == 0:
    refused = 0
    for call in (argot.device(fed["bob"])(lambda: 1), pending.wait, pending.value, fed.report):
        try:
            call()
        except argot.errors.ProgramError as error:
            refused += "another process" in str(error)
    fed.close()
    sys.exit(7 if refused == 4 else 1)
start = time.monotonic()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7 and time.monotonic() - start < 5
print(argot.device(fed["bob"])(lambda: 2)().value(), pending.value(), flush=True)
"""
    with run_driver(then) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        assert driver.stdout.readline() == "2 3\n"
        assert driver.wait(20) == 0


def test_what_a_function_forks_ends_with_its_agent():
    def forks():
        child = os.fork()
        if child == 0:
            time.sleep(60)
        return child

    with argot.local("alice", "bob") as fed:
        child = at(fed["bob"], forks).value()
        assert alive(child)
    assert gone_within([child], 5)
