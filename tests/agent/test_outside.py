"""Owners outside of a device, and the policies of everybody who takes part."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

import argot
from argot.agent import wire
from argot.agent.wire import CONTROL
from argot.config import AgentConfig, Policy, Rule, TableSource, User
from argot.errors import ArgotError, PermissionRefused, ProgramMismatch
from argot.graph.node import Node

from . import canary
from .worlds import World

NAMES = ("alice", "bob", "carol", "dave")
DEVICE = "aby3(alice, bob, carol)"
OUTSIDE = "aby3(alice, bob, carol, outside=dave)"


def policy(devices=(DEVICE, OUTSIDE), to=NAMES, elements=8):
    return Policy(devices=devices, reveal=(Rule(to=to, max_elements=elements),))


def world(tmp_path, tables=None, **policies):
    """Four agents; the driver is a user of dave. `policies` are of those that have another than the others."""
    user = User("", "dave")
    configs = {
        name: AgentConfig(
            name=name,
            functions=("agent.canary:*",),
            policy=policies.get(name, policy()),
            users={"driver": user},
            tables=(tables or {}) if name == "dave" else {},
        )
        for name in NAMES
    }
    return World(tmp_path, NAMES, configs, party="dave")


def doubled(fed):
    device = fed.mpc("alice", "bob", "carol")
    return argot.device(device)(lambda a: a * 2.0)(argot.device(fed["dave"])(canary.fine)(4))


def test_with_everybodys_leave_an_owner_outside_shares_and_gets_the_result(tmp_path):
    run = world(tmp_path)
    with run as fed:
        result = argot.reveal(doubled(fed), to="dave")
        inside = argot.device(fed["dave"])(canary.fine)(4)
        np.testing.assert_allclose(result.value(), 2 * inside.value(), atol=1e-4)
        assert any("dave shared" in line for line in fed.report().brought)
        for name in NAMES:
            assert run.agents[name].journal.count("shared", owner="dave", on="mpc") == 1


@pytest.mark.parametrize("who", NAMES)
def test_whoever_does_not_list_the_owner_beside_the_device_refuses(tmp_path, who):
    with world(tmp_path, **{who: policy(devices=(DEVICE,))}) as fed:
        with pytest.raises(PermissionRefused, match=r"outside=dave\) \(rule policy\.devices\)") as caught:
            doubled(fed).wait()
        assert caught.value.party == who


@pytest.mark.parametrize("who", NAMES)
def test_every_party_may_refuse_what_goes_outside(tmp_path, who):
    with world(tmp_path, **{who: policy(elements=3)}) as fed:
        result = doubled(fed).wait()
        with pytest.raises(PermissionRefused, match=r"a reveal of 4 elements .* to dave \(rule policy\.reveal\)"):
            argot.reveal(result, to="dave").wait()


def test_a_table_is_shared_only_on_devices_that_its_owner_names_for_it(tmp_path):
    (tmp_path / "p.csv").write_text("age\n1\n2\n")
    for devices, refused in (((DEVICE,), True), ((OUTSIDE,), False)):
        folder = tmp_path / str(refused)
        folder.mkdir()
        source = TableSource(path=str(tmp_path / "p.csv"), devices=devices)
        with world(folder, tables={"people": source}) as fed:
            device = fed.mpc("alice", "bob", "carol")
            handle = argot.device(device)(lambda t: t["age"] * 2.0)(fed["dave"].table("people"))
            if refused:
                with pytest.raises(PermissionRefused, match=r"tables\.people\.devices"):
                    handle.wait()
            else:
                np.testing.assert_allclose(argot.reveal(handle, to="dave").value(), [2.0, 4.0], atol=1e-4)


def tampering(link, change):
    """The driver sends another node to bob for each share or reveal."""

    def tamper(peer, session, data):
        message = wire.unpack(data) if session == CONTROL and peer == "bob" else None
        if not isinstance(message, wire.Submit):
            return data
        node = Node.from_bytes(message.node)
        if node.device.kind == "outside" and node.op != "open":
            node = change(node)
        return wire.pack(msgspec.structs.replace(message, node=node.to_bytes()))

    link.tamper = tamper


def forged(what):
    def change(node):
        (binding,), (output,) = node.inputs, node.outputs
        match what:
            case "origins":
                binding = msgspec.structs.replace(binding, origins=("alice:public",))
                output = msgspec.structs.replace(output, origins=("alice:public",))
            case "owner":
                binding = msgspec.structs.replace(binding, owner="alice")
            case "recipients":
                output = msgspec.structs.replace(output, recipients=("carol",))
            case "visibility":
                output = msgspec.structs.replace(output, visibility="public")
        return msgspec.structs.replace(node, inputs=(binding,), outputs=(output,))

    return change


@pytest.mark.parametrize("what", ["origins", "owner", "recipients", "visibility"])
@pytest.mark.parametrize("op", ["share", "reveal"])
def test_a_driver_that_tells_the_parties_different_things_gets_nothing(tmp_path, what, op):
    run = world(tmp_path)
    with run as fed:
        if op == "reveal":
            result = doubled(fed).wait()
            tampering(run.link, forged(what))
            last = argot.reveal(result, to="dave")
        else:
            tampering(run.link, forged(what))
            last = doubled(fed)
        with pytest.raises(ArgotError) as caught:
            last.wait()
        assert isinstance(caught.value, PermissionRefused | ProgramMismatch), caught.value
