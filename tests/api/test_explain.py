"""`fed.explain` and `fed.trace`, with real agents."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import pytest

import argot
from argot.api.trace import events
from argot.errors import ConfigError, InputError, RangeWarning
from argot.mpc.few import few


@pytest.fixture(scope="module")
def fed():
    with argot.local("alice", "bob", "carol") as federation:
        federation.mpc(*federation.parties, name="shares")
        yield federation


def numbers(seed, *shape):
    import numpy

    return numpy.random.default_rng(seed).normal(size=shape)


def fit(x, y):
    def step(w, _):
        p = jax.nn.sigmoid(x @ w)
        return w - x.T @ (p - y) / 50, None

    return jax.lax.scan(step, jnp.zeros(3), None, 4)[0]


def test_the_estimate_is_what_the_run_sends(fed):
    alice, bob, _ = fed.parties
    x, y = argot.device(alice)(numbers)(0, 50, 3), argot.device(bob)(numbers)(1, 50)
    train = argot.device(fed.place("shares"))(fit)
    before = len(fed.graph)
    ahead = fed.explain(train, x, y)
    assert len(fed.graph) == before  # nothing ran
    assert not ahead.measured
    ran = fed.explain(train(x, y))
    assert ran.estimate.bytes == ahead.estimate.bytes == sum(line.bytes for line in ran.measured)
    measured = {line.where: line for line in ran.measured}
    for line in ran.estimate.lines:
        if line.calls:
            assert (measured[line.where].calls, measured[line.where].bytes) == (line.calls, line.bytes)
    assert "test_explain.py" in str(ahead) and "measured: rounds" in str(ran) and "<table>" in ran._repr_html_()
    assert json.loads(json.dumps(ran.to_dict()))["bytes"] == ran.estimate.bytes
    report = fed.report()
    assert sum(line.bytes for line in report.lines) == report.bytes_total
    assert "Cost by line" in str(report)


def test_a_device_says_what_its_parties_measured(fed):
    """Loopback: more than 10 Mbit/s, less than 0.1 s there and back, also on a busy machine; all say the same."""
    device = fed.place("shares")
    assert device.link.bandwidth > 10e6 and 0 < device.link.latency < 0.05
    assert {tuple(notes["link"]) for notes in device.opened.notes.values()} == {
        (device.link.bandwidth, device.link.latency)
    }
    assert len(device.opened.notes) == 3 and str(device.link) in repr(device)
    found = fed.explain(argot.device(device)(fit), argot.spec((50, 3)), argot.spec((50,)))
    assert (found.link, found.few) == (device.link, few(device.link, 18))
    assert f"Link of the device: {device.link}" in str(found) and found.to_dict()["few"] == found.few


@pytest.mark.parametrize(("latency", "rounds", "bytes_"), [(0.1, 2, 30.75), (1e-6, 3, 26.5)])
def test_a_device_takes_the_form_for_the_link_that_it_is_given(fed, latency, rounds, bytes_):
    device, n = fed.mpc(*fed.parties, link=argot.Link(1_000_000_000, latency)), 2**11
    alice, bob, _ = fed.parties
    x, y = argot.device(alice)(numbers)(0, n), argot.device(bob)(numbers)(1, n)
    secret = argot.device(device)(lambda x, y: (x + y, x - y))(x, y)
    product = argot.device(device)(lambda pair: pair[0] * pair[1])(secret)
    cost = fed.explain(product)
    (line,) = (line for line in cost.measured if line.calls)
    assert device.link == argot.Link(1e9, latency)
    assert (line.rounds, line.bytes) == (rounds, bytes_ * n) == (cost.estimate.rounds, cost.estimate.bytes)


def test_links_that_cannot_be(fed):
    with pytest.raises(ConfigError, match=r"a link of -1\.0 bits a second"):
        fed.mpc(*fed.parties, link=argot.Link(-1, 0.1))


def test_a_schema_stands_for_a_secret(fed):
    train = argot.device(fed.place("shares"))(fit)
    links = {"slow": argot.Link(1e6, 0.5)}
    found = fed.explain(train, argot.spec((50, 3)), y=argot.spec((50,)), links=links)
    assert found.estimate.rounds > 8
    assert found.seconds(links["slow"]) >= 0.5 * found.estimate.rounds
    assert "slow: " in str(found) and "10 Gbit/s" not in str(found)


def test_what_may_overflow_is_in_it(fed):
    square = argot.device(fed.place("shares"))(lambda x: x * x)
    with pytest.warns(RangeWarning):
        found = fed.explain(square, argot.spec((4,), low=0, high=1e5))
    (overflow,) = found.overflows
    assert overflow.high >= 1e10 and f"May overflow: {overflow}" in str(found)
    assert not fed.explain(square, argot.spec((4,), low=0, high=1e3)).overflows


def test_what_cannot_be_explained_is_named(fed):
    with pytest.raises(InputError, match="numbers is no function on an MPC device"):
        fed.explain(argot.device(fed["alice"])(numbers), 0, 3)
    with pytest.raises(InputError, match="fit is no function on an MPC device"):
        fed.explain(fit, argot.spec((50, 3)), argot.spec((50,)))
    with pytest.raises(InputError, match="runs in the clear"):
        fed.explain(argot.device(fed["alice"])(numbers)(0, 3))


def test_a_trace_has_every_node_and_equation(fed, tmp_path):
    alice, bob, _ = fed.parties
    x, y = argot.device(alice)(numbers)(0, 50, 3), argot.device(bob)(numbers)(1, 50)
    argot.device(fed.place("shares"))(fit)(x, y).wait()
    found = json.loads(fed.trace(tmp_path / "trace.json").read_text())["traceEvents"]
    names = {event["pid"]: event["args"]["name"] for event in found if event["ph"] == "M"}
    assert sorted(names.values()) == ["alice", "bob", "carol"]
    node = fed.graph.records[-1].name
    ran = [event for event in found if event["ph"] == "X" and event["args"]["node"] == node]
    for process in names:
        mine = [event for event in ran if event["pid"] == process]
        assert [event["name"] for event in mine if event["cat"] == "node"] == [node]
        assert sum(event["name"] == "sigmoid" for event in mine) == 4


def test_spans_on_one_thread_are_nested():
    spans = [
        ("n", "outer", "", 0, 100),
        ("n", "inner", "", 10, 20),
        ("n", "across", "", 15, 30),
        ("n", "after", "", 100, 110),
    ]
    threads = {event["name"]: event["tid"] for event in events({"alice": spans}) if event["ph"] == "X"}
    assert threads == {"outer": 0, "inner": 0, "across": 1, "after": 0}
