"""kill -9 in the middle of a training: of an agent, and of the driver."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import argot
from argot.errors import PartyLost
from argot.frame import Frame
from argot.linear import LogisticRegression

NAMES = ("alice", "bob", "carol")
EPOCHS = 100_000  # hours


def pids_of(fed):
    return {agent.name: agent.process.pid for agent in fed._shut_down.peek()[2][1].agents}


def running(pids):
    """Processes in the sessions of these agents: the agents, and whatever they started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(session) in pids and state != "Z":
            found.append(int(stat.parent.name))
    return found


def none_within(pids, seconds):
    end = time.monotonic() + seconds
    while running(pids) and time.monotonic() < end:
        time.sleep(0.05)
    return not running(pids)


def train(fed, directory, progress=None):
    """Steps of 8 rows: an epoch is hundreds of messages."""
    rng = np.random.default_rng(1)
    for name, columns in (("alice", "a,b"), ("bob", "c,y")):
        x = rng.normal(size=(1000, 2))
        x[:, 1] = x[:, 1] > 0
        np.savetxt(directory / f"{name}.csv", x, delimiter=",", header=columns, comments="", fmt="%.6f")
    frame = Frame({fed[name]: fed[name].table(str(directory / f"{name}.csv")) for name in ("alice", "bob")})
    model = LogisticRegression(device=fed.mpc(*fed.parties), max_iter=EPOCHS, batch_size=8)
    return model.fit(frame.drop("y"), frame["y"], progress)


@pytest.mark.parametrize("victim", ["bob", "carol"])
def test_an_agent_that_is_killed_is_named_and_everything_ends(tmp_path, victim):
    killed, done = [], []

    def progress(epochs, total):
        done.append(epochs)
        if epochs == 2:
            threading.Timer(0.3, kill).start()  # while agents are in an epoch, not between two

    def kill():
        os.kill(pids[victim], signal.SIGKILL)
        killed.append(time.monotonic())

    with argot.local(*NAMES) as fed:
        pids = pids_of(fed)
        assert len(running(pids.values())) >= 3
        limit = threading.Timer(60, fed.close)  # a loss that nobody notices fails, and does not hang
        limit.start()
        with pytest.raises(PartyLost, match=victim) as caught:
            train(fed, tmp_path, progress)
        limit.cancel()
        assert time.monotonic() - killed[0] < 10
        assert caught.value.party == victim and done[0] == 1 and len(done) >= 2
    assert none_within(pids.values(), 5)


DRIVER = """
import sys
from pathlib import Path
import argot
from test_killed_in_training import NAMES, pids_of, train

def progress(epochs, total):
    if epochs == 2:
        print("training", flush=True)

fed = argot.local(*NAMES)
print(*pids_of(fed).values(), flush=True)
train(fed, Path(sys.argv[1]), progress)
"""


def test_no_agent_outlives_a_driver_that_is_killed(tmp_path):
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as driver:
        assert driver.stdout is not None
        try:
            pids = [int(pid) for pid in driver.stdout.readline().split()]
            assert driver.stdout.readline() == "training\n" and len(pids) == 3
            time.sleep(0.3)
            assert driver.poll() is None and len(running(pids)) >= 3
        finally:
            driver.kill()
        assert none_within(pids, 5)
