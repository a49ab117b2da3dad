"""Agents that were started separately, each with its own key, pinned peers, policy, and no code from the driver."""

import contextlib
import os
import re
import signal
import threading
import time

import numpy as np
import pytest

import argot
from argot.agent import journal, wire
from argot.agent.wire import CONTROL
from argot.errors import ConfigError, InputError, LinkError, MoveRefused, PartyLost, PeerRejected, PermissionRefused
from argot.frame import owner
from argot.graph.lineage import Source
from argot.keys import Identity

from .deployed import NAMES, Site

COMMON = """
[policy]
devices = ["aby3(alice, bob, carol)", "psi(alice, bob, carol)", "psi(alice, bob)"]
psi_with = ["alice", "bob"]
psi_max_rows = 100
psi_runs_per_table = 2
[[policy.reveal]]
to = ["alice"]
of = ["alice:*", "bob:visits.id", "bob:visits.cost", "bob:small.*"]
[[policy.reveal]]
to = ["bob"]
of = ["*"]
max_elements = 4
"""
POLICIES = {
    "alice": COMMON
    + """
[tables.people]
path = "people.csv"
columns = ["id", "age", "secret"]
text = ["id"]
[tables.people.column_devices]
secret = ["nothing(*)"]
[tables.large]
path = "large.csv"
""",
    "bob": COMMON
    + """
[tables.visits]
path = "visits.csv"
text = ["id"]
[tables.small]
path = "visits.csv"
text = ["id"]
""",
    "carol": COMMON,
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"), POLICIES, {"ana": "alice", "ben": "bob", "eve": "alice"})
    (site.folder / "alice" / "people.csv").write_text(
        "id,age,hidden,secret\n" + "".join(f"p{i},{20 + i},{i},{i}\n" for i in range(8))
    )
    (site.folder / "alice" / "large.csv").write_text("id\n" + "".join(f"{i}\n" for i in range(101)))
    (site.folder / "bob" / "visits.csv").write_text(
        "id,cost,note\n" + "".join(f"p{i},{i * 1.5},{i}\n" for i in (5, 3, 1, 9))
    )
    try:
        site.start()
        yield site
    finally:
        site.stop()


@pytest.fixture(scope="module")
def fed(site):
    with argot.connect(site.federation()) as federation:
        yield federation


@pytest.fixture(scope="module")
def mpc(fed):
    return fed.mpc(*fed.parties)


def test_a_job_of_two_owners(fed, mpc):
    alice, bob, carol = fed.parties
    people, visits = alice.table("people", ["id", "age"]), bob.table("visits")
    a, b = argot.psi_join(people, visits, on="id", helper=carol)
    total = argot.device(mpc)(lambda x, y: (x * y).sum())(a["age"], b["cost"])
    found = float(argot.reveal(total, to="alice"))
    assert found == pytest.approx(sum((20 + i) * i * 1.5 for i in (5, 3, 1)), abs=1e-2)
    report = fed.report()
    assert report.note.startswith("The driver acts for alice;")
    assert any(
        "alice learned the value float64[]" in line and "bob:visits[cost, id]" in line for line in report.disclosed
    )


def test_installed_functions_run_by_name(fed):
    people = fed["alice"].table("people", ["id", "age"])
    matrix = argot.device(fed["alice"])(owner.matrix)(people, ["age"])
    assert matrix.shape == (8, 1)
    assert matrix.value()[:, 0].tolist() == list(range(20, 28))


def test_a_function_that_is_not_installed_is_refused_by_the_driver(fed):
    with pytest.raises(PermissionRefused, match="rule code"):
        argot.device(fed["alice"])(lambda: 1)()


def test_a_pickle_is_refused_by_the_agent(fed):
    fed.client.code["alice"] = "any"
    try:
        with pytest.raises(PermissionRefused, match=r"code from the driver \(rule code\)") as caught:
            argot.device(fed["alice"])(lambda: 1)().wait()
        assert caught.value.party == "alice"
    finally:
        fed.client.code["alice"] = "installed"


def test_a_function_that_is_not_allowed_is_refused(fed):
    from argot.linear import schedule  # not among the agent's functions

    with pytest.raises(PermissionRefused, match="rule functions"):
        argot.device(fed["alice"])(schedule.design)([], 1, 2).wait()
    with pytest.raises(PermissionRefused, match="rule functions"):
        argot.device(fed["alice"])(owner.read_csv)("/etc/passwd").wait()


def test_a_reveal_that_the_policy_does_not_allow_is_refused_by_name(fed, mpc):
    ages = fed["alice"].table("people", ["id", "age"])["age"]
    doubled = argot.device(mpc)(lambda x: x * 2.0)(ages)
    with pytest.raises(PermissionRefused, match=r"policy\.reveal") as caught:
        argot.reveal(doubled, to="bob").wait()
    assert caught.value.party in NAMES and "8 elements from alice:people.age to bob" in str(caught.value)
    notes = fed["bob"].table("visits")["note"]
    with pytest.raises(PermissionRefused, match=r"bob:visits\.note to alice"):
        argot.reveal(notes, to="alice").wait()
    told = [argot.reveal(argot.device(mpc)(lambda x: x[:4])(ages), to="bob").wait()]
    assert told[0].shape == (4,)


def test_every_agent_tells_of_the_refusal(fed, mpc):
    before = {name: len(fed.client.execution.graph) for name in NAMES}
    secret = argot.device(mpc)(lambda x: x * 2.0)(fed["bob"].table("visits")["note"])
    handle = argot.reveal(secret, to="alice")
    with pytest.raises(PermissionRefused):
        handle.wait()
    record = handle.ref.product.record
    assert fed.client.wait(lambda: set(record.failed_at) == set(NAMES), 5)
    assert all(isinstance(e, PermissionRefused) and "policy.reveal" in str(e) for e in record.failed_at.values())
    assert before


def test_a_hidden_column_and_an_unknown_table_are_refused(fed):
    with pytest.raises(PermissionRefused, match=r"tables\.people\.columns"):
        fed["alice"].table("people", ["hidden"]).wait()
    with pytest.raises(PermissionRefused, match="rule tables"):
        fed["alice"].table("/etc/passwd").wait()
    assert fed["alice"].table("people").columns == ("id", "age", "secret")


def test_a_column_can_be_kept_from_a_device(fed, mpc):
    people = fed["alice"].table("people")
    with pytest.raises(PermissionRefused, match=r"alice:people\.secret on the device .*tables\.people\.devices"):
        argot.device(mpc)(lambda x: x + 1.0)(people["secret"]).wait()
    with pytest.raises(PermissionRefused, match="on the device"):
        argot.device(mpc)(lambda t: t["age"])(people[["age", "secret"]]).wait()


def test_a_device_that_the_policy_does_not_know(fed):
    with pytest.raises(PermissionRefused, match=r"policy\.devices"):
        device = fed.mpc("carol", "bob", "alice")
        argot.device(device)(lambda x: x + 1)(fed["bob"].table("visits")["cost"]).wait()


def test_only_the_own_partys_values_come_to_the_driver(fed):
    visits = fed["bob"].table("visits")
    assert visits.shape == (4, 3)
    with pytest.raises(PermissionRefused, match="does not act for bob"):
        visits.value()
    fed.client.acts_for.add("bob")
    try:
        with pytest.raises(PermissionRefused, match="does not act for bob"):
            visits.value()
    finally:
        fed.client.acts_for.discard("bob")


def test_a_value_of_a_party_cannot_be_claimed_for_another_origin(fed, mpc):
    secret = fed["alice"].table("people")["secret"]
    fed.client.wait(lambda: secret.state == "ready", 10)
    secret.ref.product.source = Source((), "alice:elsewhere")
    with pytest.raises(PermissionRefused, match="said to come from"):
        argot.device(mpc)(lambda x: x + 1.0)(secret).wait()


def test_caps_on_intersections(fed):
    alice, bob, carol = fed.parties
    with pytest.raises(PermissionRefused, match="psi_max_rows"):
        fed.psi(alice.table("large"), bob.table("visits"), on="id", helper=carol)[0].wait()
    small = bob.table("small", ["id"])
    people = alice.table("people", ["id"])
    with pytest.raises(PermissionRefused, match=r"psi_runs_per_table.*|.*psi_runs_per_table"):
        for _ in range(4):
            fed.psi(people, small, on="id", helper=carol)[0].wait()


def test_a_user_of_another_party(site):
    with argot.connect(site.federation("ben")) as theirs:
        assert theirs.client.acts_for == {"bob"}
        with pytest.raises(PermissionRefused):
            theirs["alice"].table("people", ["age"]).value()
        assert theirs["bob"].table("visits")["cost"].value().tolist() == [7.5, 4.5, 1.5, 13.5]
        with pytest.raises(InputError) as caught:
            theirs["alice"].table("people", ["id", "age"])["agee"].shape  # noqa: B018
        assert "age" in str(caught.value)


def test_errors_of_another_party_come_without_their_message(site, fed):
    bob = fed["bob"]
    handle = argot.device(bob)(owner.matrix)(bob.table("visits"), ["no such column"])
    with pytest.raises(argot.ArgotError) as caught:
        handle.wait()
    assert (
        caught.value.party == "bob" and "visits" not in str(caught.value) and not getattr(caught.value, "__notes__", [])
    )
    assert caught.value.reference in (site.folder / "bob" / "errors.log").read_text()


def test_a_client_that_nobody_knows_is_rejected(site):
    start, before = time.monotonic(), threading.active_count()
    with pytest.raises(PeerRejected, match=r"alice|agent"):
        argot.connect(site.stranger())
    assert time.monotonic() - start < 10
    end = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_an_agent_with_another_key_than_the_pinned_one_is_rejected(site):
    wrong = Identity.generate("bob").fingerprint
    with pytest.raises(PeerRejected, match="bob"):
        argot.connect(site.federation("eve", bob=wrong))


def test_files_that_cannot_be_used(site, tmp_path):
    with pytest.raises(ConfigError, match="no file"):
        argot.connect(tmp_path / "federation.toml")
    path = tmp_path / "federation.toml"
    path.write_text('user = "ana"\nparty = "alice"\nagnets = {}\n')
    with pytest.raises(argot.errors.UnknownNameError, match="agnets") as caught:
        argot.connect(path)
    assert "agents" in str(caught.value)
    path.write_text('user = "ana"\nparty = "dave"\n[agents.alice]\nfingerprint = "x"\naddress = "localhost:1"\n')
    with pytest.raises(ConfigError, match="dave"):
        argot.connect(path)


def test_journals_hold_what_was_opened_and_no_values(site, fed):
    lines = 0
    for name in NAMES:
        path = site.folder / name / "journal.jsonl"
        lines += journal.verify(path)
        log = path.read_text() + (site.folder / name / "agent.log").read_text()
        log = re.sub(r'"time(stamp)?": "?[^",}]+', "", log)
        assert "13.5" not in log and "p5" not in log
    assert lines > 0


def test_an_agent_that_is_killed_ends_the_job_and_the_others_stay(site):
    path = site.federation("ben")
    with argot.connect(path) as theirs:
        device = theirs.mpc(*theirs.parties)
        secret = argot.device(device)(lambda x: x * 2.0)(theirs["bob"].table("visits")["cost"]).wait()
        process = site.processes["carol"]
        os.kill(process.pid, signal.SIGKILL)
        start = time.monotonic()
        with pytest.raises(PartyLost, match="carol"):
            while True:
                argot.device(device)(lambda x: x * x)(secret).wait()
        assert time.monotonic() - start < 10
        assert theirs["bob"].table("visits").shape == (4, 3)
    process.wait(5)
    process.stdout.close()
    assert all(site.processes[name].poll() is None for name in ("alice", "bob"))
    site.start(("carol",))
    with argot.connect(path) as again:
        device = again.mpc(*again.parties)
        secret = argot.device(device)(lambda x: x * 2.0)(again["bob"].table("visits")["cost"])
        assert argot.reveal(secret, to="bob").shape == (4,)


def test_an_agent_that_is_not_there(site):
    path = site.federation("eve")
    path.write_text(path.read_text().replace(site.addresses["bob"], "127.0.0.1:1"))
    with pytest.raises(LinkError, match="bob"):
        argot.connect(path, timeout=1.0)


def test_a_second_connection_of_a_user_ends_the_first(site):
    """One key is one peer: the two throw each other out. Neither hangs, and afterwards all is well."""
    path = site.federation("eve")
    with argot.connect(path) as first:
        assert first["alice"].table("people", ["age"]).shape == (8, 1)
        start = time.monotonic()
        with contextlib.suppress(PartyLost, LinkError), argot.connect(path, timeout=5.0) as second:
            second["alice"].table("people", ["age"]).wait()
        with pytest.raises(PartyLost):
            first["alice"].table("people", ["age"]).wait()
        assert time.monotonic() - start < 15
    with argot.connect(path) as again:
        assert again["alice"].table("people", ["age"]).shape == (8, 1)


def test_nonsense_on_the_control_session_is_refused(site, fed):
    for data in (b"", b"\x00" * 40, wire.pack(wire.Bye(os.urandom(16))), os.urandom(5000)):
        fed.client.link.send("alice", CONTROL, [data])
    assert fed["alice"].table("people", ["age"]).shape == (8, 1)
    with pytest.raises(MoveRefused):
        argot.device(fed["bob"])(owner.matrix)(fed["alice"].table("people"), ["age"])
    assert np.isfinite(fed.report().bytes_total)
