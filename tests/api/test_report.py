"""The report: computed from what ran, one line for what one more reveal tells, and checked against the journals."""

import json
import re

import numpy as np
import pytest

import argot
from argot.errors import InputRefused, ReportMismatch

from .test_local import NAMES, at

PEOPLE = "id,age,income\n" + "".join(f"p{i},{20 + i},{100.5 * i}\n" for i in range(10))
VISITS = "id,cost\n" + "".join(f"p{i},{i}\n" for i in (3, 5, 20))


def job(fed, folder, reveal_to_bob):
    alice, bob, carol = fed.parties
    device = fed.mpc(*fed.parties)
    people = alice.table(str(folder / "people.csv"), text=["id"])
    visits = bob.table(str(folder / "visits.csv"), text=["id"])
    a, b = argot.psi_join(people, visits, on="id", helper=carol)
    weights = argot.public(np.arange(100.0), "weights")
    score = at(device, lambda x, y, w: x * y + (w * x[0]).sum(), a["age"], b["cost"], weights)
    argot.reveal(score, to=alice).wait()
    if reveal_to_bob:
        argot.reveal(score, to=bob).wait()
    return fed.report()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    (folder / "people.csv").write_text(PEOPLE)
    (folder / "visits.csv").write_text(VISITS)
    return folder


def without_numbers(lines):
    return [re.sub(r"\(n\d+", "(n", line) for line in lines]


def test_one_more_reveal_is_one_more_line(folder):
    with argot.local(*NAMES) as first, argot.local(*NAMES) as second:
        before, after = job(first, folder, False), job(second, folder, True)
    old, new = without_numbers(before.disclosed), without_numbers(after.disclosed)
    added = [line for line in new if line not in old]
    assert len(new) == len(old) + 1 and len(added) == 1
    assert added[0].startswith("bob learned the value float64[2], from alice:people[age, id]; bob:visits[cost, id]")
    assert [t for t, _ in before.sections()] == [t for t, _ in after.sections()]
    for (title, one), (_, two) in zip(before.sections(), after.sections(), strict=True):
        assert len(two) - len(one) == (1 if title.startswith("Who learned") else 0)


def test_everything_is_in_the_report(folder):
    with argot.local(*NAMES) as fed:
        bad = at(fed["bob"], lambda: np.array([np.nan]))
        with pytest.raises(argot.ArgotError):
            at(fed.mpc(*fed.parties, name="first"), lambda v: v * 2.0, bad).wait()
        report = job(fed, folder, False)
        text, figures = str(report), report.to_dict()
        html = report._repr_html_()
    assert text.startswith("The driver started the agents and acts for every party")
    assert "the agents' own journals agree" in text
    assert any(
        line.startswith("carol learned number of rows in common, from alice:people[id]; bob:visits[id]")
        for line in report.disclosed
    )
    assert any("the driver (trusted) learned number of rows in common" in line for line in report.disclosed)
    assert [bit.to for bit in report.failure_bits] == ["alice", "carol"]
    assert all(bit.what == "that bob ended it (InputRefused)" for bit in report.failure_bits)
    assert report.public_constants[0].startswith("weights: fixed[100] (n")
    assert any("alice: table[10 rows: id, age, income]" in line for line in report.shapes_seen_by_driver)
    assert set(report.peak_memory) == set(NAMES)
    assert all(10 < mb < 1000 for mb in report.peak_memory.values()), report.peak_memory
    assert figures["bytes_total"] == sum(node["bytes"] for node in figures["nodes"]) > 0
    assert figures["rounds"] > 0 and any(op["operation"].startswith("mul") for op in figures["operations"])
    json.dumps(figures)
    assert "<table>" in html and "<handle" not in html and "Who learned what" in html
    assert issubclass(InputRefused, argot.ArgotError)


def test_costs_by_operation_sum_to_the_total(folder):
    """Also what no operation sends that declares a cost: the intersection, and the value that moves to alice."""
    with argot.local(*NAMES) as fed:
        report = job(fed, folder, False)
        (intersection,) = (report.nodes[record.number] for record in fed.graph if record.op == "psi")
    sent = {operation.operation: operation.bytes for operation in report.operations}
    assert sum(sent.values()) == report.bytes_total
    assert sent["other"] >= intersection.bytes > 0 and len(sent) > 1


def test_what_an_intersection_told_before_it_failed(folder, tmp_path):
    (tmp_path / "others.csv").write_text("id,cost\nq1,1\nq2,2\n")
    with argot.local(*NAMES) as fed:
        alice, bob, carol = fed.parties
        people = alice.table(str(folder / "people.csv"), text=["id"])
        others = bob.table(str(tmp_path / "others.csv"), text=["id"])
        with pytest.raises(argot.ArgotError, match="empty"):
            argot.psi_join(people, others, on="id", helper=carol)[0].wait()
        twice = bob.table(str(folder / "people.csv"), text=["id"])
        repeated = at(bob, lambda t: {"id": np.array(["a", "a"])}, twice)
        with pytest.raises(argot.ArgotError):
            argot.psi_join(people, repeated, on="id", helper=carol)[0].wait()
        learned = [str(line) for line in fed.report().learned]
    (empty,) = {re.search(r"\((n\d+)", line)[1] for line in learned}  # the one that was refused told nothing of rows
    assert len(learned) == 10 and all(empty in line for line in learned)
    for who in ("alice", "bob", "carol", "the driver"):
        assert any(line.startswith(who) for line in learned)


def test_a_journal_that_says_something_else_is_an_error(tmp_path):
    with argot.local(*NAMES, directory=tmp_path) as fed:
        x = at(fed["alice"], lambda: np.ones(2))
        argot.reveal(x, to="bob").wait()
        assert len(fed.report().learned) == 1
        path = tmp_path / "bob" / "journal.jsonl"
        kept = path.read_text()
        for changed in (kept.replace('"to": "bob"', '"to": "carol"'), "", kept + kept):
            path.write_text(changed)
            with pytest.raises(ReportMismatch, match="bob"):
                fed.report()
        path.write_text(kept)
        fed.report()


def test_fetched_values_are_told(tmp_path):
    with argot.local("alice", "bob") as fed:
        at(fed["alice"], lambda: 1.0).value()
        (line,) = fed.report().fetched
        assert line.startswith("alice: n0.0 (test_")
