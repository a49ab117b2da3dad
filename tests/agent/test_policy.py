"""What a driver that lies cannot get past: limits of reveals, saved values, intersections, devices of tables."""

import msgspec
import numpy as np
import pytest

import argot
from argot.agent import saved, wire
from argot.agent.deployed import check_config
from argot.agent.wire import CONTROL
from argot.config import AgentConfig, Policy, Rule, TableSource, User
from argot.devices import codec
from argot.devices.schema import describe
from argot.errors import ArgotError, ConfigError, PermissionRefused, ProgramMismatch, UnknownNameError
from argot.graph.graph import Call, Lowered
from argot.graph.node import Node

from . import canary
from .worlds import World

NAMES = ("alice", "bob", "carol")
POLICY = Policy(
    devices=("aby3(*)", "psi(*)"), reveal=(Rule(to=NAMES, max_elements=4),), psi_with=NAMES, psi_runs_per_table=1
)


def world(tmp_path, saved=(), **tables):
    """Three agents with `POLICY`; the driver is a user of alice."""
    user = User("", "alice", saved=saved)
    configs = {
        name: AgentConfig(
            name=name, functions=("agent.canary:*",), policy=POLICY, users={"driver": user}, tables=tables
        )
        for name in NAMES
    }
    return World(tmp_path, NAMES, configs, party="alice")


def keep(folder, name):
    """A value that bob saved."""
    value = np.arange(3.0)
    header = saved.Header(bytes(32), ("bob",), "", 0, 0, describe(value), (), ("bob:patients.age",))
    data = b"".join(bytes(part) for part in codec.encode(value))
    saved.write(folder / "bob", bytes([3]) * 32, "value", name, saved.File(header, data))
    return folder / "bob" / "saved" / f"{name}.value"


def test_the_size_of_a_reveal_is_what_the_agent_knows_not_what_the_driver_says(tmp_path):
    run = world(tmp_path)

    def without_schema(peer, session, data):
        message = wire.unpack(data) if session == CONTROL else None
        if not isinstance(message, wire.Submit):
            return data
        node = Node.from_bytes(message.node)
        if node.op == "reveal":
            node = msgspec.structs.replace(node, inputs=(msgspec.structs.replace(node.inputs[0], schema=None),))
        return wire.pack(msgspec.structs.replace(message, node=node.to_bytes()))

    with run as fed:
        device = fed.mpc(*fed.parties)
        private = argot.device(fed["bob"])(canary.fine)(100)
        secret = argot.device(device)(lambda a: a * 2.0)(private).wait()
        for tamper in (run.link.tamper, without_schema):
            run.link.tamper = tamper
            for handle in (private, secret):
                with pytest.raises(PermissionRefused, match=r"policy\.reveal"):
                    argot.reveal(handle, to="alice").wait()


def test_saved_values_are_for_users_that_the_agent_names(tmp_path):
    with world(tmp_path, saved=("ours-*",)) as fed:
        theirs, ours = keep(tmp_path, "theirs"), keep(tmp_path, "ours-1")
        for call in (lambda: fed.load(fed["bob"], "theirs"), lambda: fed.delete(fed["bob"], "theirs")):
            with pytest.raises(PermissionRefused, match=r"users\.driver\.saved"):
                call()
        mine = argot.device(fed["alice"])(canary.fine)(2)
        with pytest.raises(PermissionRefused, match=r"users\.driver\.saved"):
            fed.save(mine, "theirs")
        assert theirs.exists()
        with pytest.raises(UnknownNameError) as caught:
            fed.load(fed["bob"], "ours-2")
        assert "theirs" not in str(caught.value)
        assert fed.load(fed["bob"], "ours-1").shape == (3,)
        fed.delete(fed["bob"], "ours-1")
        assert not ours.exists()


def test_intersections_at_the_same_time_count(tmp_path):
    (tmp_path / "p.csv").write_text("id,age\n" + "".join(f"p{i},{i}\n" for i in range(300)))
    table = TableSource(path=str(tmp_path / "p.csv"), text=("id",))
    with world(tmp_path, people=table) as fed:
        alice, bob, carol = fed.parties
        left, right = alice.table("people"), bob.table("people")
        joined = [fed.psi(left, right, on="id", helper=carol) for _ in range(6)]
        outcomes = []
        for first, _ in joined:
            try:
                outcomes.append(first.wait())
            except ArgotError as error:
                assert "policy.psi_runs_per_table" in str(error)
    assert len(outcomes) == 1


@pytest.mark.parametrize("name", ["people.v2", "a/b", ""])
def test_a_table_whose_name_would_hide_its_limits_is_refused(name):
    with pytest.raises(ConfigError, match="name of a table"):
        check_config(AgentConfig(name="alice", tables={name: TableSource(path="p.csv")}))


@pytest.mark.parametrize("listen", ["nonsense", "host:", ":80", "host:99999", "host:x"])
def test_an_address_that_is_none_is_refused_when_it_is_written(listen, tmp_path):
    from argot.agent.setup import init_agent

    with pytest.raises(ConfigError, match="address to listen at"):
        init_agent("alice", tmp_path, listen)
    with pytest.raises(ConfigError, match="address to listen at"):
        check_config(AgentConfig(name="alice", listen=listen))


def test_a_node_for_another_version_of_the_protocols_is_refused(tmp_path):
    with world(tmp_path) as fed:
        device = fed.mpc(*fed.parties)
        old = msgspec.structs.replace(device.spec, kernels="1")
        call = Call(old, "open", "old", lambda _: Lowered(b""))
        with pytest.raises(ProgramMismatch, match="version 1 of the protocols"):
            fed.wait_for(fed.record(call))
