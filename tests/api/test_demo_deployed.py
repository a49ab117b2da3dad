"""The main job on three agents that were started separately: own keys, pinned peers, no code, a policy."""

import pytest

import argot
from argot.demo import job
from argot.demo.tables import breast_cancer
from argot.errors import PermissionRefused

from .deployed import Site

COMMON = """
[policy]
devices = ["aby3(alice, bob, carol)", "psi(alice, bob, carol)"]
psi_with = ["alice", "bob"]
[[policy.reveal]]
to = ["bob"]
of = ["alice:clinic.*", "bob:laboratory.*"]
max_elements = 60
"""


@pytest.fixture
def site(tmp_path):
    case = breast_cancer()
    tables = "[tables.{name}]\npath = '{path}'\ntext = ['patient']\ndevices = ['aby3(*)', 'psi(*)']\n"
    policies = {
        "alice": COMMON + tables.format(name="clinic", path=case.alice.resolve()),
        "bob": COMMON + tables.format(name="laboratory", path=case.bob.resolve()),
        "carol": COMMON,
    }
    site = Site(tmp_path, policies, {"ben": "bob"})
    try:
        site.start()
        yield site
    finally:
        site.stop()


def test_the_demonstration_on_three_agents_with_policies(site):
    with argot.connect(site.federation("ben")) as federation:
        device = federation.mpc(*federation.parties)
        out = job.run(
            federation, device, federation.parties, breast_cancer(), job.Watch(), ("clinic", "laboratory"), 3, 64
        )
        assert out.intersection > 400 and out.scores["auc"] > 0.97
        report = federation.report()
        values = [line for line in report.disclosed if "the value" in line]
        assert len(values) == 1 and values[0].startswith("bob learned the value {accuracy: float64[]")
        assert report.note.startswith("The driver acts for bob;")
        assert report.bytes_total > 10_000
        with pytest.raises(PermissionRefused, match=r"policy\.reveal"):
            argot.reveal(out.model.coef_, to="alice").wait()
