"""Admission: strictly by number, under a limit, whatever arrives first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argot.agent.lane import Lane
from argot.errors import ProgramMismatch


@given(st.permutations(range(12)), st.integers(1, 5), st.booleans(), st.randoms(use_true_random=False))
def test_all_agents_admit_alike(order, limit, opens, random):
    lane = Lane(limit, opens)
    admitted, running = [], []
    for number in order:
        lane.offer(number, f"node {number}")
        while True:
            new = lane.admit()
            admitted += new
            running += new
            assert len(running) <= limit
            if not running or (not new and random.random() < 0.5):
                break
            done = running.pop(random.randrange(len(running)))
            lane.finish(int(done.split()[1]))
    while running:
        lane.finish(int(running.pop(0).split()[1]))
        new = lane.admit()
        admitted += new
        running += new
    assert admitted == [f"node {i}" for i in range(12)]


def test_number_zero_of_a_shared_device_runs_alone():
    lane = Lane(4, opens=True)
    for number in (1, 0, 2):
        lane.offer(number, number)
    assert lane.admit() == [0] and lane.admit() == []
    lane.finish(0)
    assert lane.admit() == [1, 2]


def test_a_number_is_used_once():
    lane = Lane(2, opens=False)
    lane.offer(0, "a")
    with pytest.raises(ProgramMismatch, match="twice"):
        lane.offer(0, "b")
    lane.admit()
    with pytest.raises(ProgramMismatch, match="twice"):
        lane.offer(0, "c")


def test_a_closed_lane_admits_nothing():
    lane = Lane(2, opens=False)
    lane.offer(0, "a")
    lane.close()
    assert lane.admit() == []
