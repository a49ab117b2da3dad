"""Agents that are given different things, wrong things, things in another order; and what they tell each other."""

import msgspec
import numpy as np
import pytest

import argot
from argot.agent import wire
from argot.agent.wire import CONTROL
from argot.config import AgentConfig, Policy, Rule, User
from argot.errors import FunctionFailed, InputError, InputRefused, PartyLost, PermissionRefused, ProgramMismatch
from argot.graph.node import Node, short

from . import canary
from .worlds import World

NAMES = ("alice", "bob", "carol")


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path, NAMES)
    with world:
        yield world


def at(place, function, *args):
    return argot.device(place)(function)(*args)


def tampering(link, change):
    """Let `change(peer, node)` replace nodes on their way out of the driver."""

    def tamper(peer, session, data):
        if session != CONTROL:
            return data
        message = wire.unpack(data)
        if not isinstance(message, wire.Submit):
            return data
        node = change(peer, Node.from_bytes(message.node))
        return wire.pack(msgspec.structs.replace(message, node=node.to_bytes()))

    link.tamper = tamper


def test_different_programs_for_one_node_are_refused_by_everybody(world):
    fed, sent = world.federation, {}
    device = fed.mpc(*fed.parties)

    def change(peer, node):
        if node.op == "run" and peer == "carol":
            node = msgspec.structs.replace(node, body=node.body.replace(b"add", b"sub"))
        sent[peer] = node.digest()
        return node

    tampering(world.link, change)
    x = at(fed["alice"], lambda: np.ones(2))
    handle = at(device, lambda a, b: a + b, x, at(fed["bob"], lambda: np.ones(2)))
    with pytest.raises(ProgramMismatch):
        handle.wait()
    record = handle.ref.product.record
    assert fed.client.wait(lambda: set(record.failed_at) == set(NAMES), 5)
    assert sent["alice"] == sent["bob"] != sent["carol"]
    for error in record.failed_at.values():
        assert isinstance(error, ProgramMismatch)
        assert short(sent["alice"]) in error.what and short(sent["carol"]) in error.what
    tampering(world.link, lambda peer, node: node)
    assert at(device, lambda a: a * 2.0, x).wait().state == "ready"


@pytest.mark.parametrize("field", ["sequence", "recipient", "owner", "ring"])
def test_every_field_is_part_of_what_is_agreed(world, field):
    fed = world.federation
    device = fed.mpc(*fed.parties)
    x = at(fed["alice"], lambda: np.ones(2))
    secret = at(device, lambda a: a * 2.0, x).wait()

    def change(peer, node):
        if peer != "bob" or node.op != "reveal":
            return node
        output = node.outputs[0]
        changes = {
            "sequence": {"sequence": node.sequence, "where": "elsewhere.py:1"},
            "recipient": {"outputs": (msgspec.structs.replace(output, recipients=("alice", "bob")),)},
            "owner": {"inputs": (msgspec.structs.replace(node.inputs[0], owner="mpc", origins=("alice:other",)),)},
            "ring": {"device": msgspec.structs.replace(node.device, ring=32)},
        }
        return msgspec.structs.replace(node, **changes[field])

    tampering(world.link, change)
    with pytest.raises((ProgramMismatch, PermissionRefused)):
        argot.reveal(secret, to="alice").wait()


def test_agents_take_nodes_in_the_order_of_their_numbers(world):
    fed = world.federation
    device = fed.mpc(*fed.parties)
    x = at(fed["alice"], lambda: np.ones(2)).wait()
    at(device, lambda a: a * 1.0, x).wait()
    held = {"bob": [], "carol": []}
    send = world.link.send

    def late(peer, session, parts):
        """Bob gets four nodes in reverse, carol the first one last."""
        if session == CONTROL and peer in held and isinstance(wire.unpack(parts[0]), wire.Submit):
            held[peer].append(parts)
            if len(held[peer]) == 4:
                order = reversed(held[peer]) if peer == "bob" else [*held[peer][1:], held[peer][0]]
                for one in order:
                    send(peer, session, one)
            return
        send(peer, session, parts)

    world.link.send = late
    handles = [at(device, lambda a, k=k: a * k, x) for k in (2.0, 3.0, 5.0, 7.0)]
    fed.wait(*handles)
    world.link.send = send
    assert [argot.reveal(h, to="bob").value()[0] for h in handles] == pytest.approx([2, 3, 5, 7], abs=1e-3)


def test_a_lost_agent_ends_what_needs_it(world):
    fed = world.federation
    device = fed.mpc(*fed.parties)
    x = at(fed["alice"], lambda: np.ones(2))
    secret = at(device, lambda a: a * 2.0, x).wait()
    world.network.lose("carol")
    with pytest.raises(PartyLost, match="carol"):
        at(device, lambda a: a * 2.0, secret).wait()


def test_agents_listen_to_nobody_but_drivers_and_peers_within_their_rights(world):
    fed = world.federation
    device = fed.mpc(*fed.parties)
    x = at(fed["alice"], lambda: np.ones(2))
    secret = at(device, lambda a: a * 2.0, x).wait()
    job = world.client.job
    node = secret.ref.product.record.node
    failure = wire.Failure(code="PartyError", what="no")
    bob = world.network.links["bob"]
    for message in (
        wire.Submit(job, node.to_bytes()),
        wire.Fetch(job, 1, "n1.0", ()),
        wire.Drop(job, ("n1.0",)),
        wire.Bye(job),
        wire.Abort(job, node.device.name, node.sequence, failure),
        wire.Agree(job, "alice", 0, bytes(32), failure),
        wire.Hello(1, bytes(16)),
        wire.Welcome(1, "bob", ("alice",), "any"),
    ):
        bob.send("alice", CONTROL, [wire.pack(message)])
    mallory = world.network.link("mallory")
    mallory.send("alice", CONTROL, [wire.pack(wire.Submit(job, node.to_bytes()))])
    world.link.send("alice", CONTROL, [wire.pack(wire.Submit(job, b"\x80"))])
    world.link.send("alice", CONTROL, [wire.pack(wire.Submit(job, node.to_bytes()))])  # a number used before
    assert argot.reveal(at(device, lambda a: a + 1.0, secret), to="bob").value().tolist() == pytest.approx(
        [3, 3], abs=1e-3
    )
    assert x.value().tolist() == [1.0, 1.0]


def deployed(tmp_path):
    """Agents that run `agent.canary` by name, and a driver of alice."""
    policy = Policy(devices=("aby3(*)",), reveal=(Rule(to=NAMES),))
    configs = {
        name: AgentConfig(name=name, functions=("agent.canary:*",), policy=policy, users={"driver": User("", "alice")})
        for name in NAMES
    }
    return World(tmp_path, NAMES, configs, party="alice")


def everything_others_have(world, owner):
    """All that the driver and the other agents have received, and their files."""
    data = b""
    for name in (*NAMES, "driver"):
        if name != owner:
            data += b"".join(bytes(part) for _, _, part in world.network.received[name])
    for name in NAMES:
        if name != owner:
            data += b"".join(path.read_bytes() for path in (world.directory / name).rglob("*") if path.is_file())
    return data


@pytest.mark.parametrize("function", [canary.fails, canary.exits])
def test_nothing_of_an_error_but_its_kind_and_place_leaves_the_owner(tmp_path, function):
    world = deployed(tmp_path)
    with world as fed:
        device = fed.mpc(*fed.parties)
        failed = at(fed["bob"], function, 3)
        total = at(device, lambda a, b: a.sum() + b.sum(), at(fed["alice"], canary.fine, 3), failed)
        with pytest.raises(FunctionFailed) as caught:
            failed.wait()
        with pytest.raises(FunctionFailed):
            total.wait()
        error = caught.value
        assert (
            error.party == "bob" and str(error.where).startswith("canary.py:") and not getattr(error, "__notes__", [])
        )
        assert canary.CANARY in (tmp_path / "bob" / "errors.log").read_text()
        assert str(error.reference) in (tmp_path / "bob" / "errors.log").read_text()
        fed.report()
        data = everything_others_have(world, "bob")
    assert b"anary-4711" not in data and b"anary_4711" not in data
    assert len(data) > 1000


def test_an_input_that_cannot_be_encoded_is_one_bit(tmp_path):
    world = deployed(tmp_path)
    with world as fed:
        device = fed.mpc(*fed.parties)
        x = argot.device(fed["bob"], returns=argot.spec(2))(canary.unencodable)(2)
        handle = at(device, lambda a: a * 2.0, x)
        with pytest.raises(InputRefused, match="bob refused its input") as caught:
            handle.wait()
        assert caught.value.party == "bob"
        record = handle.ref.product.record
        assert fed.client.wait(lambda: set(record.failed_at) == set(NAMES), 5)
        bits = fed.report().failure_bits
        assert {bit.to for bit in bits} == {"alice", "carol"} and "bob" in bits[0].what
        data = everything_others_have(world, "bob")
    assert b"47114711" not in data


def test_of_data_outside_of_its_declared_range_one_bit_leaves_the_owner(tmp_path):
    world = deployed(tmp_path)
    with world as fed:
        device = fed.mpc(*fed.parties)
        declared = argot.spec(2, low=0, high=1)
        fine = argot.device(fed["alice"], returns=declared)(canary.between)(2)
        x = argot.device(fed["bob"], returns=declared)(canary.out_of_range)(2)
        assert x.schema == declared and "in [0, 1]" in repr(x)  # public before it holds
        total = at(device, lambda a, b: (a < b).sum(), fine, x)
        with pytest.raises(InputError, match="out_of_range raised InputError at bob") as caught:
            x.wait()
        with pytest.raises(InputError, match="raised InputError at bob"):
            total.wait()
        assert caught.value.party == "bob" and str(caught.value.where).startswith("canary.py:")
        assert "4711.25" in (tmp_path / "bob" / "errors.log").read_text()
        fed.report()
        data = everything_others_have(world, "bob")
    assert b"4711.25" not in data and np.float64(4711.25).tobytes() not in data
    assert fine.schema.high == 1


def test_a_driver_cannot_say_another_range_than_the_owner_checked(tmp_path):
    world = World(tmp_path, NAMES)
    with world as fed:
        device = fed.mpc(*fed.parties)

        def change(peer, node):
            bindings = [
                msgspec.structs.replace(b, schema=argot.spec(2, low=0, high=0.25)) if node.op == "run" else b
                for b in node.inputs
            ]
            return msgspec.structs.replace(node, inputs=tuple(bindings))

        tampering(world.link, change)
        x = argot.device(fed["alice"], returns=argot.spec(2, low=0, high=1))(canary.between)(2)
        with pytest.raises(ProgramMismatch, match=r"bound as float64\[2\] in \[0, 0.25\]"):
            at(device, lambda a: a + 1.0, x).wait()


def test_the_own_partys_driver_gets_the_message(tmp_path):
    world = deployed(tmp_path)
    with world as fed:
        failed = at(fed["alice"], canary.fails, 3)
        with pytest.raises(FunctionFailed, match=canary.CANARY) as caught:
            failed.wait()
        assert canary.CANARY in "".join(caught.value.__notes__)
