"""The command line, as a user calls it."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from argot.agent.journal import Journal


def argot(*arguments, timeout=60):
    return subprocess.run(
        [sys.executable, "-m", "argot", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ["agent", "demo", "bench", "user", "version"]),
        (("agent",), ["init", "start", "show", "check-journal"]),
        (("agent", "start"), ["--config"]),
        (("demo",), ["--rows", "--json", "--epochs"]),
        (("bench", "mpc"), ["--protocol", "--op", "--n", "--json"]),
    ],
)
def test_help(arguments, words):
    found = argot(*arguments, "--help")
    assert found.returncode == 0 and all(word in found.stdout for word in words)


def test_import_is_quick_and_loads_nothing():
    code = (
        "import sys, time; t = time.perf_counter(); import argot; "
        "print(time.perf_counter() - t, 'numpy' in sys.modules)"
    )
    runs = [subprocess.check_output([sys.executable, "-c", code], text=True).split() for _ in range(3)]
    assert min(float(seconds) for seconds, _ in runs) < 0.5 and {numpy for _, numpy in runs} == {"False"}


@pytest.mark.parametrize("command", [["demo"], ["bench", "mpc", "--op", "mul", "--n", "1"]])
def test_what_is_not_installed_is_named(command):
    code = "import sys; sys.modules['jax'] = None; from argot.cli import main; main()"
    found = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, timeout=60)
    assert found.returncode == 1 and "JAX" in found.stderr.upper() and "argot[lab]" in found.stderr
    assert "Traceback" not in found.stderr


def test_agents_do_not_import_jax():
    code = (
        "import sys, argot.agent.server, argot.agent.embedded\n"
        "from argot.agent.context import find\n"
        "[find(op) for op in ('call', 'delete', 'load', 'open', 'psi', 'reveal', 'run', 'save', 'table')]\n"
        "print([m for m in ('jax', 'pandas', 'sklearn', 'argot.vm.lower') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_from_init_to_start(tmp_path):
    made = argot("agent", "init", "--name", "alice", "--dir", tmp_path / "alice", "--listen", "127.0.0.1:0")
    assert made.returncode == 0
    fingerprint = made.stdout.split()[1]
    assert fingerprint.startswith("sha256:")
    assert argot("agent", "show", "--dir", tmp_path / "alice").stdout.strip() == fingerprint
    command = [sys.executable, "-m", "argot", "agent", "start", "--config", str(tmp_path / "alice" / "alice.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as agent:
        line = agent.stdout.readline()
        assert line.startswith("alice listens at 127.0.0.1:") and fingerprint in line
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(10) == 0


def test_a_port_that_is_taken(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        argot("agent", "init", "--name", "alice", "--dir", tmp_path, "--listen", address)
        found = argot("agent", "start", "--config", tmp_path / "alice.toml")
    assert found.returncode == 1 and address in found.stderr and "in use" in found.stderr
    assert "Traceback" not in found.stderr


def test_errors_are_said_and_not_traced(tmp_path):
    (tmp_path / "a.toml").write_text('name = "alice"\nfoo = 1\n')
    for arguments, said in (
        (("agent", "start", "--config", tmp_path / "a.toml"), "unknown key 'foo'"),
        (("agent", "start", "--config", tmp_path / "none.toml"), "no file"),
        (("agent", "show", "--dir", tmp_path), "agent init"),
        (("bench", "mpc", "--op", "nothing", "--n", "5"), "nothing"),
        (("bench", "mpc", "--op", "mul", "--n", "5", "--protocol", "abc"), "aby3"),
    ):
        found = argot(*arguments)
        assert found.returncode == 1 and said in found.stderr and "Traceback" not in found.stderr


def test_a_journal_can_be_checked(tmp_path):
    journal = Journal(tmp_path)
    journal.write("opened", bytes(16), 1, to="bob")
    journal.close()
    assert "1 entries" in argot("agent", "check-journal", "--dir", tmp_path).stdout
