"""From whose columns: through selections, functions, intersections and programs."""

from argot.graph.lineage import Source, of_outputs
from argot.graph.node import Binding, DeviceSpec

ALICE = DeviceSpec("plain", "alice", ("alice",))
PSI = DeviceSpec("psi", "psi", ("alice", "bob"))


def binding(owner, *origins):
    return Binding("n0.0", (), owner, "private", None, origins)


def test_a_table_has_an_origin_for_each_column():
    (source,) = of_outputs("table", ALICE, "data/people.csv", [])
    assert source.part(()) == ("alice:people.*",)
    assert source.part(("age",)) == ("alice:people.age",)
    assert source.part((("age", "id"), 0)) == ("alice:people.age", "alice:people.id")
    (source,) = of_outputs("table", ALICE, "people", [], columns=("id", "age"))
    assert source.part(()) == ("alice:people.age", "alice:people.id")


def test_a_function_is_an_origin_if_nothing_goes_in():
    (source,) = of_outputs("call", ALICE, "pkg.mod:load", [])
    assert source.part(("x",)) == ("alice:load().x",)
    (source,) = of_outputs("call", ALICE, "f", [binding("alice", "alice:t.x"), binding("alice", "alice:t.y")])
    assert source == Source(("alice:t.x", "alice:t.y"))
    assert source.part(("z",)) == ("alice:t.x", "alice:t.y")


def test_a_join_keeps_columns_and_adds_the_keys_of_both():
    a, b = of_outputs(
        "psi",
        PSI,
        "psi",
        [binding("alice", "alice:t.*"), binding("bob", "bob:u.cost", "bob:u.key")],
        keys=(("id",), ("key",)),
    )
    assert a.part(("x",)) == ("alice:t.id", "alice:t.x", "bob:u.key")
    assert a.part(()) == ("alice:t.*", "alice:t.id", "bob:u.key")
    assert b.part(("cost",)) == ("alice:t.id", "bob:u.cost", "bob:u.key")
    assert b.part(()) == ("alice:t.id", "bob:u.cost", "bob:u.key")


def test_joins_of_joins():
    once = ("alice:t.id", "alice:t.x", "bob:u.id")
    a, _ = of_outputs("psi", PSI, "psi", [binding("alice", *once), binding("bob", "bob:v.*")], keys=(("id",), ("id",)))
    assert a.part(("x",)) == ("alice:t.id", "alice:t.x", "bob:u.id", "bob:v.id")


def test_programs_and_reveals_inherit_everything():
    inputs = [binding("alice", "alice:t.x"), binding("bob", "bob:u.y")]
    for op in ("run", "reveal"):
        assert of_outputs(op, PSI, "f", inputs) == [Source(("alice:t.x", "bob:u.y"))]
    assert of_outputs("save", PSI, "f", inputs) == []
