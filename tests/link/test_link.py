"""The link as Python sees it. Cuts, tampering and rogue peers are in crates/link/tests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argot._core import link
from argot.errors import AddressInUse, FrameError, LinkError, PartyLost, PeerRejected
from argot.keys import Identity

SESSION = bytes(range(16))
ALICE, BOB = Identity.generate("alice"), Identity.generate("bob", "p256")


def make(name: str, identity: Identity, listen: str | None = "127.0.0.1:0", **limits: Any) -> Any:
    limits = {"keep_alive": 0.1, "lost_after": 1.0, **limits}
    return link.Link(name, identity.certificate, identity.key, listen, **limits)


@pytest.fixture
def pair() -> Iterator[tuple[Any, Any]]:
    with make("alice", ALICE) as alice, make("bob", BOB) as bob:
        alice.add_peer("bob", BOB.spki_sha256, bob.address)
        bob.add_peer("alice", ALICE.spki_sha256, alice.address)
        yield alice, bob


def collect(inbox: Any, count: int, timeout: float = 20.0) -> list[tuple[str, Any]]:
    """The next `count` items, or fewer when they do not come in time."""
    found: list[tuple[str, Any]] = []
    end = time.monotonic() + timeout
    while len(found) < count and (left := end - time.monotonic()) > 0:
        found += inbox.take(left)
    return found


def event(of: Any, kind: str) -> tuple[str, str, str]:
    """The next event of a kind."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for found in of.watch(0.5):
            if found[0] == kind:
                return found
    raise AssertionError(f"no event {kind}")


def test_parts_of_any_kind_become_one_message(pair: tuple[Any, Any]) -> None:
    alice, bob = pair
    words = np.arange(6, dtype="<u8").reshape(2, 3)
    pairs = np.zeros(2, dtype=[("lo", "<u8"), ("hi", "<u8")])
    parts = [b"ab", bytearray(b"cd"), memoryview(b"ef"), words, pairs, np.array(1.5), b"", np.empty((0, 4))]
    alice.send("bob", SESSION, parts)
    [(peer, data)] = collect(bob.open(SESSION), 1)
    assert peer == "alice"
    assert data == b"abcdef" + words.tobytes() + pairs.tobytes() + np.array(1.5).tobytes()


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 262_144, 262_145, 5_000_000])
def test_small_messages_are_bytes_and_large_ones_a_view(pair: tuple[Any, Any], size: int) -> None:
    alice, bob = pair
    sent = os.urandom(size)
    alice.send("bob", SESSION, [sent[: size // 3], sent[size // 3 :]])
    [(_, data)] = collect(bob.open(SESSION), 1)
    assert data == sent
    assert isinstance(data, bytes if size <= 65_536 else memoryview)
    if isinstance(data, memoryview):
        assert data.readonly and np.frombuffer(data, np.uint8).nbytes == size


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(messages=st.lists(st.lists(st.binary(max_size=300), max_size=4), min_size=1, max_size=30))
def test_messages_keep_order_and_content(pair: tuple[Any, Any], messages: list[list[bytes]]) -> None:
    alice, bob = pair
    session = os.urandom(16)
    with bob.open(session) as inbox:
        for parts in messages:
            alice.send("bob", session, parts)
        assert [data for _, data in collect(inbox, len(messages))] == [b"".join(parts) for parts in messages]


def test_stats_agree_on_both_sides(pair: tuple[Any, Any]) -> None:
    alice, bob = pair
    inbox = bob.open(SESSION)
    for size in (1, 1000, 1_000_000):
        alice.send("bob", SESSION, [bytes(size)])
    collect(inbox, 3)
    mine, theirs = alice.stats()["bob"], bob.stats()["alice"]
    assert mine["sent_messages"] == theirs["received_messages"] == 3
    assert mine["sent_bytes"] == theirs["received_bytes"] == 1_001_001
    assert mine["wire_sent_bytes"] > 1_001_001 and mine["packets"] >= 3 and mine["reconnects"] == 0
    event(alice, "up")
    assert alice.state("bob") == "up"
    deadline = time.monotonic() + 5
    while alice.rtt("bob") is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert 0 < alice.rtt("bob") < 1


def test_a_port_in_use_has_its_own_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AddressInUse, match=address):
            make("alice", ALICE, address)


def test_wrong_arguments_say_what_was_wanted(pair: tuple[Any, Any]) -> None:
    alice, _ = pair
    with pytest.raises(ValueError, match="16 bytes"):
        alice.send("bob", b"short", [])
    with pytest.raises(PeerRejected, match="carol"):
        alice.send("carol", SESSION, [])
    with pytest.raises(ValueError, match="32 bytes"):
        alice.add_peer("carol", b"short")
    with pytest.raises(ValueError, match="itself"):
        alice.add_peer("me", ALICE.spki_sha256)
    with pytest.raises(ValueError, match="pinned already"):
        alice.add_peer("carol", BOB.spki_sha256)
    with pytest.raises(ValueError, match="host:port"):
        alice.add_peer("carol", bytes(32), "nowhere")
    with pytest.raises(ValueError, match="contiguous"):
        alice.send("bob", SESSION, [np.zeros((4, 4))[:, ::2]])
    with pytest.raises(TypeError):
        alice.send("bob", SESSION, ["text"])
    with pytest.raises(ValueError):
        link.Link("alice", ALICE.certificate, BOB.key)
    with pytest.raises(LinkError, match="cannot listen"):
        make("alice", ALICE, "203.0.113.1:0")
    alice.open(SESSION)
    with pytest.raises(ValueError, match="open already"):
        alice.open(SESSION)


def test_a_message_longer_than_the_peer_takes() -> None:
    with make("alice", ALICE) as alice, make("bob", BOB, max_message=1000) as bob:
        bob.add_peer("alice", ALICE.spki_sha256)
        alice.add_peer("bob", BOB.spki_sha256, bob.address)
        event(alice, "up")
        with pytest.raises(FrameError, match="1001"):
            alice.send("bob", SESSION, [bytes(1001)])
        alice.send("bob", SESSION, [bytes(1000)])
        assert len(collect(bob.open(SESSION), 1)) == 1


def test_send_gives_up_after_its_timeout_and_sends_nothing_then() -> None:
    with make("alice", ALICE) as alice, make("bob", BOB, window=1 << 20) as bob:
        bob.add_peer("alice", ALICE.spki_sha256)
        alice.add_peer("bob", BOB.spki_sha256, bob.address)
        inbox = bob.open(SESSION)
        alice.send("bob", SESSION, [bytes(1 << 20)])
        assert not alice.room("bob", SESSION)
        with pytest.raises(LinkError, match="in time"):
            alice.send("bob", SESSION, [b"late"], timeout=0.2)
        assert len(collect(inbox, 1)) == 1
        alice.send("bob", SESSION, [b"next"], timeout=10)
        assert collect(inbox, 1) == [("alice", b"next")]


def test_wake_and_timeout_return_nothing(pair: tuple[Any, Any]) -> None:
    inbox = pair[0].open(SESSION)
    start = time.monotonic()
    assert inbox.take(0.05) == [] and inbox.take(0) == []
    inbox.wake()
    assert inbox.take(10) == []
    threading.Timer(0.05, inbox.wake).start()
    assert inbox.take(10) == []
    assert time.monotonic() - start < 5


def test_ctrl_c_ends_a_wait(pair: tuple[Any, Any]) -> None:
    inbox = pair[0].open(SESSION)
    # A shell's background job inherits that it is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.1, signal.raise_signal, (signal.SIGINT,)).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            inbox.take(20)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("of", [list, set, tuple, frozenset, dict.fromkeys])
def test_members_can_be_any_collection(pair: tuple[Any, Any], of: Any) -> None:
    alice, bob = pair
    inbox = bob.open(SESSION, peers=of(["alice", "bob"]))
    alice.send("bob", SESSION, [b"x"])
    assert collect(inbox, 1) == [("alice", b"x")]
    with pytest.raises(PeerRejected, match="carol"):
        bob.open(bytes(16), peers=of(["alice", "carol"]))


def test_a_removed_peer_is_lost_and_can_be_added_again(pair: tuple[Any, Any]) -> None:
    alice, bob = pair
    inbox = alice.open(SESSION)
    alice.send("bob", SESSION, [b"x"])
    event(alice, "up")
    alice.remove_peer("bob")
    assert collect(inbox, 1) == [("bob", None)]
    with pytest.raises(PeerRejected):
        alice.send("bob", SESSION, [b"y"])
    alice.add_peer("bob", BOB.spki_sha256, bob.address)
    event(alice, "up")


def test_the_larger_name_dials_when_the_other_cannot() -> None:
    with make("alice", ALICE) as alice, make("bob", BOB) as bob:
        alice.add_peer("bob", BOB.spki_sha256)
        bob.add_peer("alice", ALICE.spki_sha256, alice.address)
        event(alice, "up")


PEER = """
import sys, time
from pathlib import Path
from argot._core import link
from argot.keys import Identity
directory, address, fingerprint, how = sys.argv[1:]
identity = Identity.load(directory)
here = link.Link("bob", identity.certificate, identity.key)
here.add_peer("alice", Identity.parse(fingerprint), address)
here.send("alice", bytes(range(16)), [b"here"])
here.open(bytes(16)).take(20)
if how == "exit": sys.exit()
time.sleep(60)
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Any]:
    """Starts another process that is bob, and ends it."""
    BOB.save(tmp_path / "bob")
    started: list[subprocess.Popen[bytes]] = []

    def start(alice: Any, how: str) -> subprocess.Popen[bytes]:
        arguments = [str(tmp_path / "bob"), alice.address, ALICE.fingerprint, how]
        started.append(subprocess.Popen([sys.executable, "-c", PEER, *arguments]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def test_a_killed_peer_is_lost_within_ten_seconds(other: Any) -> None:
    with link.Link("alice", ALICE.certificate, ALICE.key, "127.0.0.1:0") as alice:  # the times of production
        alice.add_peer("bob", BOB.spki_sha256)
        inbox = alice.open(SESSION, peers={"bob"})
        process = other(alice, "sleep")
        assert collect(inbox, 1) == [("bob", b"here")]
        process.send_signal(signal.SIGKILL)
        start = time.monotonic()
        assert collect(inbox, 1) == [("bob", None)]
        assert time.monotonic() - start < 10
        with pytest.raises(PartyLost) as lost:
            alice.send("bob", SESSION, [b"x"])
        assert lost.value.party == "bob"


def test_open_links_do_not_keep_a_process_alive(other: Any) -> None:
    with make("alice", ALICE) as alice:
        alice.add_peer("bob", BOB.spki_sha256)
        inbox = alice.open(SESSION)
        process = other(alice, "exit")
        assert collect(inbox, 1) == [("bob", b"here")]
        alice.send("bob", bytes(16), [b"go"])
        assert process.wait(10) == 0


def test_close_leaves_no_thread() -> None:
    def threads() -> int:
        return sum(Path(task, "comm").read_text().startswith("argot-") for task in Path("/proc/self/task").iterdir())

    before = threads()
    alice, bob = make("alice", ALICE), make("bob", BOB)
    alice.add_peer("bob", BOB.spki_sha256, bob.address)
    bob.add_peer("alice", ALICE.spki_sha256, alice.address)
    event(alice, "up")
    assert threads() >= before + 8
    alice.close()
    bob.close()
    alice.close()
    assert threads() == before
    with pytest.raises(LinkError, match="closed"):
        alice.send("bob", SESSION, [b"x"])


def tls(alice: Any, tmp_path: Path, protocol: str | None, newest: ssl.TLSVersion) -> bytes:
    """What a pinned client gets that speaks OpenSSL's TLS; raises where the handshake fails."""
    BOB.save(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = newest
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    if protocol:
        context.set_alpn_protocols([protocol])
    host, port = alice.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        with context.wrap_socket(raw) as wrapped:
            return wrapped.recv(1000)


def test_openssl_reads_our_records_and_finds_tls_13(tmp_path: Path) -> None:
    with make("alice", ALICE) as alice:
        alice.add_peer("bob", BOB.spki_sha256)
        hello = tls(alice, tmp_path, "argot/1", ssl.TLSVersion.TLSv1_3)
        assert b"alice" in hello and b"bob" in hello


@pytest.mark.parametrize(
    ("protocol", "newest"),
    [("h2", ssl.TLSVersion.TLSv1_3), (None, ssl.TLSVersion.TLSv1_3), ("argot/1", ssl.TLSVersion.TLSv1_2)],
)
def test_another_protocol_or_older_tls_is_refused(tmp_path: Path, protocol: str | None, newest: ssl.TLSVersion) -> None:
    with make("alice", ALICE) as alice:
        alice.add_peer("bob", BOB.spki_sha256)
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            assert tls(alice, tmp_path, protocol, newest) == b""
        kind, _, detail = event(alice, "rejected")
        assert (kind, alice.state("bob")) == ("rejected", "pending")
        assert "TLS" in detail


@pytest.mark.filterwarnings(
    "ignore:os.fork", "ignore:This process .* is multi-threaded"
)  # the child only tries to send
def test_a_forked_child_sends_nothing(pair: tuple[Any, Any]) -> None:
    """Its counters of records are its parent's: what it sealed would go out under a nonce that comes again."""
    alice, bob = pair
    inbox = bob.open(SESSION)
    alice.send("bob", SESSION, [b"before"])
    assert collect(inbox, 1) == [("alice", b"before")]
    child = os.fork()
    if child == 0:
        refused = 0
        for call in (
            lambda: alice.send("bob", SESSION, [b"child"]),
            lambda: alice.room("bob", SESSION),
            lambda: alice.open(bytes(16)),
            lambda: alice.remove_peer("bob"),
        ):
            with contextlib.suppress(LinkError):
                call()
                continue
            refused += 1
        os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
    alice.send("bob", SESSION, [b"after"])
    assert collect(inbox, 1) == [("alice", b"after")]
