"""The canonical hash covers every field; nodes survive the way over the wire."""

import msgspec
import pytest

from argot.devices.schema import Table, Tensor
from argot.graph.node import Binding, DeviceSpec, Node, Output
from argot.runtime.link import Link

DEVICE = DeviceSpec("mpc", "mpc", ("a", "b", "c"), "aby3", 64, 18)
INPUT = Binding("n1.0", ("x", ("y", "z"), 3), "a", "private", Table((("x", "float64"),), 4), ("a:t.x",))
OUTPUT = Output("n2.0", "b", "private", ("b",), Tensor("float64", (4,)), ("a:t.x",), "a:t", ("x",))
NODE = Node(2, bytes(16), DEVICE, 7, "reveal", "reveal to b", (INPUT,), (OUTPUT,), b"body", "job.py:3")


def changes():
    """One change for every field of a node and of what is in it."""
    for name, value in (
        ("number", 3),
        ("job", b"x" * 16),
        ("sequence", 8),
        ("op", "run"),
        ("title", "t"),
        ("body", b"bodz"),
        ("where", "job.py:4"),
    ):
        yield name, msgspec.structs.replace(NODE, **{name: value})
    for name, value in (
        ("kind", "psi"),
        ("name", "m"),
        ("parties", ("a", "c", "b")),
        ("protocol", "p"),
        ("ring", 32),
        ("fraction_bits", 17),
        ("limit", 3),
        ("kernels", "another"),
        ("link", Link(1e9, 0.001)),
        ("dealer", True),
        ("of", "mpc"),
    ):
        yield f"device.{name}", msgspec.structs.replace(NODE, device=msgspec.structs.replace(DEVICE, **{name: value}))
    for name, value in (
        ("object", "n1.1"),
        ("path", ("x",)),
        ("owner", "b"),
        ("visibility", "secret"),
        ("schema", None),
        ("origins", ()),
    ):
        yield f"input.{name}", msgspec.structs.replace(NODE, inputs=(msgspec.structs.replace(INPUT, **{name: value}),))
    for name, value in (
        ("object", "n2.1"),
        ("owner", "c"),
        ("visibility", "secret"),
        ("recipients", ("b", "c")),
        ("schema", None),
        ("origins", ()),
        ("columns_of", ""),
        ("columns", ()),
    ):
        yield (
            f"output.{name}",
            msgspec.structs.replace(NODE, outputs=(msgspec.structs.replace(OUTPUT, **{name: value}),)),
        )


CHANGES = dict(changes())


def test_every_field_is_changed_by_a_case():
    fields = {f.encode_name for f in msgspec.structs.fields(Node)} - {"device", "inputs", "outputs"}
    fields |= {f"device.{f.encode_name}" for f in msgspec.structs.fields(DeviceSpec)}
    fields |= {f"input.{f.encode_name}" for f in msgspec.structs.fields(Binding)}
    fields |= {f"output.{f.encode_name}" for f in msgspec.structs.fields(Output)}
    assert fields == set(CHANGES)


@pytest.mark.parametrize("field", CHANGES)
def test_the_hash_covers(field):
    assert CHANGES[field].digest() != NODE.digest()


def test_a_node_survives_the_wire():
    again = Node.from_bytes(NODE.to_bytes())
    assert again == NODE and again.digest() == NODE.digest()


@pytest.mark.parametrize(
    "data", [b"", b"\x80", NODE.to_bytes()[:-1], NODE.to_bytes().replace(b"reveal to", b"revea\xff")]
)
def test_bytes_that_are_no_node(data):
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        Node.from_bytes(data)


def test_a_table_is_named_by_its_file():
    node = msgspec.structs.replace(NODE, op="table", title="/home/ana/data/people.csv")
    assert node.name == "n2 people" and NODE.name == "n2 reveal to b"
