"""A file or a column that is not there, asked for through real agents: what the error names, and what it does not."""

import pytest

import argot
from api.deployed import NAMES, Site
from argot.errors import InputError
from argot.frame import join, read

ROWS = "id,age\ncanary-1,4711\ncanary-2,4712\n"
CELLS = ("canary", "4711", "4712")

POLICY = """
[policy]
devices = ["psi(alice, bob)"]
psi_with = ["alice", "bob"]
[tables.people]
path = "people.csv"
[tables.empty]
path = "nowhere.csv"
[tables.stale]
path = "people.csv"
columns = ["id", "income"]
"""


def said(call):
    """All that the driver can read in the error of a call."""
    with pytest.raises(InputError) as caught:
        call()
    error = caught.value
    text = "\n".join([str(error), repr(vars(error)), *getattr(error, "__notes__", ())])
    assert not any(cell in text for cell in CELLS)
    assert "test_missing_tables.py" in str(error.where) and error.reference
    return error, text


def test_the_party_and_the_file_or_column_are_named(tmp_path):
    path, nowhere = tmp_path / "people.csv", tmp_path / "nowhere.csv"
    path.write_text(ROWS)
    with argot.local("alice", "bob") as fed:
        alice, bob = fed.parties
        mine = read(alice, str(path))
        for call, words in [
            (lambda: bob.table(str(nowhere)).wait(), [f"no file {nowhere}"]),
            (lambda: join(mine, read(bob, str(nowhere)), on="id").shape, [f"no file {nowhere}"]),
            (lambda: bob.table(str(path), ["id", "income"]).wait(), ["no column 'income'", str(path)]),
            (lambda: bob.table(str(path), text=["income"]).wait(), ["no column 'income'", str(path)]),
            (lambda: join(mine, read(bob, str(path), ["age"]), on="id").shape, ["no column 'id'"]),
        ]:
            error, text = said(call)
            assert error.party == "bob" and all(word in text for word in words)
        assert mine.shape == (2, 2), "what is there can still be read"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"), dict.fromkeys(NAMES, POLICY), {"ana": "alice", "ben": "bob"})
    (site.folder / "bob" / "people.csv").write_text(ROWS)
    try:
        site.start()
        yield site
    finally:
        site.stop()


missing = pytest.mark.parametrize(
    ("table", "detail"),
    [
        (("empty",), "no file {path}/nowhere.csv"),
        (("people", ["id", "income"]), "no column 'income' in {path}/people.csv"),
        (("stale",), "no column 'income' in {path}/people.csv"),
    ],
    ids=["file", "column", "column in the configuration"],
)


@missing
def test_the_owners_user_reads_what_is_missing(site, table, detail):
    with argot.connect(site.federation("ben")) as fed:
        error, _ = said(lambda: fed["bob"].table(*table).wait())
    assert error.party == "bob" and detail.format(path=site.folder / "bob") in str(error)


@missing
def test_others_read_whose_table_it_is_and_where_the_owner_finds_the_rest(site, table, detail):
    with argot.connect(site.federation("ana")) as fed:
        error, text = said(lambda: fed["bob"].table(*table).wait())
    assert error.party == "bob" and table[0] in str(error)
    assert not any(word in text for word in ("age", "nowhere.csv", "people.csv", str(site.folder)))
    log = (site.folder / "bob" / "errors.log").read_text()
    assert error.reference in log and detail.format(path=site.folder / "bob") in log
