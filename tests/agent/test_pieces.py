"""The small parts of an agent: journal, saved values, words that come early, what crosses of an error."""

import json

import msgspec
import pytest

from argot.agent import failures, saved, wire
from argot.agent.early import PER_PEER, Early
from argot.agent.journal import Journal, verify
from argot.agent.rendezvous import Rendezvous
from argot.agent.store import ObjectStore
from argot.devices.schema import Tensor
from argot.errors import (
    ConfigError,
    EncodeError,
    InputError,
    InputRefused,
    JournalBroken,
    PartyLost,
    PermissionRefused,
    ProgramMismatch,
)
from argot.graph.node import Output

JOB = bytes(16)


def test_a_journal_is_chained_and_survives_reopening(tmp_path):
    first = Journal(tmp_path)
    first.write("opened", JOB, 3, to="bob", shape="float64[2]")
    first.close()
    second = Journal(tmp_path)
    second.write("psi started", JOB, 4, table="alice:t")
    second.write("psi started", b"x" * 16, 4, table="alice:t")
    assert [entry["event"] for entry in second.of_job(JOB)] == ["opened", "psi started"]
    assert second.count("psi started", table="alice:t") == 2
    second.close()
    assert verify(second.path) == 3
    lines = second.path.read_text().splitlines()
    for broken in (lines[1:], [lines[0], lines[2]], [lines[0].replace("bob", "eve"), *lines[1:]]):
        second.path.write_text("\n".join(broken) + "\n")
        with pytest.raises(JournalBroken, match="changed"):
            verify(second.path)
    for garbage in ("nonsense\n", "[]\n", "{}\n", "\xff\n"):
        second.path.write_text(lines[0] + "\n" + garbage)
        with pytest.raises(JournalBroken, match="line 2"):
            verify(second.path)
        with pytest.raises(JournalBroken, match="line 2"):
            Journal(tmp_path)
    with pytest.raises(ConfigError, match="no journal"):
        verify(tmp_path / "elsewhere")


def header(**changes):
    fields = dict(
        set=bytes(32),
        parties=("a", "b", "c"),
        protocol="aby3",
        ring=64,
        fraction_bits=18,
        schema=Tensor("float64", (2,)),
        leaves=(-2,),
        origins=("a:t.x",),
    )
    return saved.Header(**{**fields, **changes})


def test_saved_values_need_the_key_the_name_and_every_byte(tmp_path):
    file = saved.File(header(), b"shares of nothing")
    saved.write(tmp_path, b"k" * 32, "share", "w", file)
    assert saved.read(tmp_path, b"k" * 32, "share", "w") == file
    path = tmp_path / "saved" / "w.share"
    sealed = path.read_bytes()
    assert b"shares" not in sealed and path.stat().st_mode & 0o077 == 0
    saved.write(tmp_path, b"k" * 32, "share", "w", file)
    assert path.read_bytes()[:12] != sealed[:12]
    with pytest.raises(InputError, match="cannot be opened"):
        saved.read(tmp_path, b"j" * 32, "share", "w")
    path.rename(tmp_path / "saved" / "v.share")
    with pytest.raises(InputError, match="cannot be opened"):
        saved.read(tmp_path, b"k" * 32, "share", "v")
    for at in (0, 12, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[at] ^= 1
        path.write_bytes(changed)
        with pytest.raises(InputError, match="cannot be opened"):
            saved.read(tmp_path, b"k" * 32, "share", "w")
    saved.delete(tmp_path, "share", "w")
    assert not path.exists()


def test_early_words_are_bounded():
    early = Early()
    for number in range(PER_PEER + 5):
        early.keep("bob", wire.Agree(JOB, "mpc", number, bytes(32)))
    early.keep("carol", wire.Agree(JOB, "mpc", 0, bytes(32)))
    assert [peer for peer, _ in early.take(JOB, "mpc", 0)] == ["bob", "carol"]
    assert early.take(JOB, "mpc", PER_PEER + 1) == []
    early.forget(JOB)
    early.keep("bob", wire.Agree(JOB, "mpc", 1, bytes(32)))
    assert len(early.take(JOB, "mpc", 1)) == 1


def test_a_rendezvous_ends_with_all_hashes_equal_or_an_objection():
    meeting = Rendezvous("a", ("a", "b", "c"), b"h" * 32)
    own = meeting.speak(JOB, "mpc", 1, None)
    assert own is not None and meeting.speak(JOB, "mpc", 1, None) is None
    meeting.hear("b", wire.Agree(JOB, "mpc", 1, b"h" * 32))
    meeting.hear("x", wire.Agree(JOB, "mpc", 1, b"?" * 32))
    assert not meeting.complete() and meeting.objection() is None
    meeting.hear("c", wire.Agree(JOB, "mpc", 1, b"i" * 32))
    error = meeting.objection()
    assert isinstance(error, ProgramMismatch) and b"h".hex() * 8 in error.what and b"i".hex() * 8 in error.what
    meeting = Rendezvous("a", ("a", "b"), b"h" * 32)
    refusal = wire.Failure(code="PermissionRefused", what="b does not", party="b")
    meeting.hear("b", wire.Agree(JOB, "mpc", 1, b"h" * 32, refusal))
    meeting.hear("b", wire.Agree(JOB, "mpc", 1, b"h" * 32))
    assert isinstance(meeting.objection(), PermissionRefused)


class Canary(ValueError):
    """Named so that its name is found if it crosses."""

    def __repr__(self):
        return "canary-4711"


def crossing(error):
    told = failures.crossing(error, party="bob", node="n3 load", where="job.py:7", title="load", ref="ab12")
    return told, wire.pack(wire.Failed(JOB, 3, told))


def test_what_crosses_of_an_error_of_the_user():
    cause = KeyError("canary-4711")
    error = Canary("canary-4711")
    error.__cause__ = cause
    error.add_note("canary-4711")
    told, data = crossing(failures.UserError(error, "job.py:3"))
    assert b"anary" not in data and told.code == "FunctionFailed"
    assert (told.party, told.node, told.where, told.reference) == ("bob", "n3 load", "job.py:3", "ab12")
    builtin, data = crossing(failures.UserError(ZeroDivisionError("canary-4711"), ""))
    assert "ZeroDivisionError" in builtin.what and b"anary" not in data
    group, data = crossing(failures.UserError(ExceptionGroup("canary-4711", [error]), ""))
    assert "ExceptionGroup" in group.what and b"anary" not in data


def test_platform_errors_cross_by_kind():
    told, data = crossing(EncodeError("row 3 is canary-4711"))
    assert told.code == "InputRefused" and b"anary" not in data
    assert crossing(RuntimeError("canary-4711"))[0].code == "PartyError"
    lost, _ = crossing(PartyLost("carol is gone", party="carol"))
    assert (lost.code, lost.party) == ("PartyLost", "carol")
    public, _ = crossing(failures.public(InputError("the intersection is empty")))
    assert (public.code, public.what) == ("InputError", "the intersection is empty")
    posing, data = crossing(failures.UserError(PermissionRefused("canary-4711"), ""))
    assert posing.code == "PermissionRefused" and b"anary" not in data


def test_the_owners_driver_gets_the_message():
    error = EncodeError("row 3 is 1e9", wanted="less")
    told, _ = crossing(error)
    detailed = failures.with_detail(told, error)
    restored = failures.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(detailed), type=wire.Failure))
    assert isinstance(restored, EncodeError) and restored.what == "row 3 is 1e9" and restored.wanted == "less"
    assert isinstance(failures.restore(told), InputRefused)


def test_objects_that_nobody_wants_are_forgotten_when_they_come():
    store = ObjectStore()
    assert store.expect(Output("n1.0", "a", "private")) and not store.expect(Output("n1.0", "a", "private"))
    seen = []
    store.get("n1.0").waiters.append(lambda: seen.append(1))
    store.drop(("n1.0", "n9.0"))
    for waiter in store.put("n1.0", 3, Tensor("int64")):
        waiter()
    assert seen == [1] and len(store) == 0
    with pytest.raises(InputError, match="no object"):
        store.get("n1.0")


@pytest.mark.parametrize("data", [b"", b"\x81", b"\x93\x01\x02\x03", json.dumps({"type": "hello"}).encode()])
def test_bytes_that_are_no_message(data):
    with pytest.raises(msgspec.MsgspecError):
        wire.unpack(data)
