"""Intersections through agents: real processes, real files, TLS between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from argot.api.federation import Federation
from argot.api.local import local
from argot.errors import InputError

CANARY = "canary-4711"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("agents")


@pytest.fixture(scope="module")
def federation(home: Path) -> Iterator[Federation]:
    with local("alice", "bob", "carol", directory=home) as federation:
        yield federation


def join(federation: Federation, folder: Path, left: pd.DataFrame, right: pd.DataFrame, **options):
    alice, bob, carol = federation.parties
    left.to_csv(folder / "left.csv", index=False)
    right.to_csv(folder / "right.csv", index=False)
    tables = alice.table(str(folder / "left.csv")), bob.table(str(folder / "right.csv"))
    return federation.psi(*tables, helper=carol, **options)


def value(table) -> pd.DataFrame:
    """An owner's table, which the driver of an embedded federation may have."""
    return pd.DataFrame(dict(table.wait().value().items()))


def test_rows_of_both_owners_match(federation: Federation, tmp_path: Path) -> None:
    left = pd.DataFrame({"id": [f"p{i}" for i in range(200)], "age": range(200)})
    right = pd.DataFrame({"id": [f"p{i}" for i in range(399, 99, -1)], "income": range(399, 99, -1)})
    a, b = (value(table) for table in join(federation, tmp_path, left, right, on="id"))
    assert list(a["id"]) == list(b["id"])
    assert (a["age"].to_numpy() == b["income"].to_numpy()).all()
    assert sorted(a["age"]) == list(range(100, 200))
    assert list(a["age"]) != sorted(a["age"])


def test_a_wait_tells_how_far_it_is(federation: Federation, tmp_path: Path) -> None:
    left = pd.DataFrame({"id": range(9000), "x": range(9000)})
    told: list[tuple[int, int]] = []
    a, _ = join(federation, tmp_path, left, left.rename(columns={"x": "y"}), on="id")
    a.wait(lambda done, total: told.append((done, total)))
    assert told and told == sorted(set(told)) and told[-1] == (18000, 18000)


def test_two_key_columns_of_other_names(federation: Federation, tmp_path: Path) -> None:
    left = pd.DataFrame({"name": ["ann", "ann", "bo"], "year": [1, 2, 1], "x": [10, 11, 12]})
    right = pd.DataFrame({"who": ["bo", "ann", "cy"], "born": [1, 2, 1], "y": [20, 21, 22]})
    a, b = join(federation, tmp_path, left, right, left_on=["name", "year"], right_on=["who", "born"])
    assert set(zip(value(a)["x"], value(b)["y"], strict=True)) == {(11, 21), (12, 20)}


def test_duplicates_stay_with_their_owner(federation: Federation, home: Path, tmp_path: Path) -> None:
    left = pd.DataFrame({"id": ["a", CANARY, CANARY], "x": [1, 2, 3]})
    a, _ = join(federation, tmp_path, left, pd.DataFrame({"id": ["a"], "y": [1]}), on="id")
    with pytest.raises(InputError, match=r"1 of 3 rows have the key of an earlier row: 2 \(as 1\)") as caught:
        a.wait()
    assert caught.value.party == "alice"
    assert CANARY not in str(caught.value)
    for other in ("bob", "carol"):
        kept = [path.read_bytes() for path in (home / other).rglob("*") if path.is_file()]
        assert kept
        assert not any(CANARY.encode() in text or b"earlier row" in text for text in kept)


def test_types_that_differ_and_empty_intersections_are_errors(federation: Federation, tmp_path: Path) -> None:
    numbers, names = pd.DataFrame({"id": [1, 2], "x": [1, 2]}), pd.DataFrame({"id": ["p1", "p2"], "y": [1, 2]})
    a, _ = join(federation, tmp_path, numbers, names, on="id")
    with pytest.raises(InputError, match="differ in number or type"):
        a.wait()
    a, _ = join(federation, tmp_path, names.assign(id=["q1", "q2"]), names, on="id")
    with pytest.raises(InputError, match="intersection of alice and bob is empty"):
        a.wait()
    a, b = join(federation, tmp_path, names.assign(id=["q1", "q2"]), names, on="id", allow_empty=True)
    assert len(value(a)) == len(value(b)) == 0


def test_the_report_has_what_it_reveals(federation: Federation, tmp_path: Path) -> None:
    table = pd.DataFrame({"id": ["a", "b"], "x": [1, 2]})
    before = Counter(federation.report().disclosed)
    a, b = join(federation, tmp_path, table, table.rename(columns={"x": "y"}), on="id")
    a.wait(), b.wait()
    new = sorted((Counter(federation.report().disclosed) - before).elements())
    for start in (
        "alice learned which rows of alice have a key that bob has too",
        "bob learned which rows of bob have a key that alice has too",
        "carol learned number of rows in common",
    ):
        assert len([line for line in new if line.startswith(start)]) == 1
    assert len(new) == 10
