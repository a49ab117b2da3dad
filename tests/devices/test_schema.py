"""Schemas: what is told of a value, parts of it, and trees of leaves."""

import numpy as np
import pytest

from argot.devices.schema import (
    Columns,
    Fields,
    Items,
    Nothing,
    Opaque,
    Table,
    Tensor,
    Text,
    build,
    declared,
    describe,
    leaves,
    resolve,
    same,
    spec,
    walk,
)
from argot.errors import InputError


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (None, Nothing()),
        (True, Tensor("bool")),
        (3, Tensor("int64")),
        (2**70, Opaque()),
        (0.5, Tensor("float64")),
        ("x", Text()),
        (b"x", Text(True)),
        (np.float32(1), Tensor("float32")),
        (np.zeros((2, 0), "int8"), Tensor("int8", (2, 0))),
        (np.array(["a"]), Tensor("str", (1,))),
        (np.array([1j]), Opaque()),
        ([1, (2.0,)], Items((Tensor("int64"), Items((Tensor("float64"),))))),
        ({"a": 1}, Fields(("a",), (Tensor("int64"),))),
        ({1: 2}, Opaque()),
        (object(), Opaque()),
        (Columns({"x": [1]}), Table((("x", "int64"),), 1)),
    ],
)
def test_what_is_told(value, schema):
    assert describe(value) == schema


def test_an_object_tells_not_even_its_class():
    assert str(describe(type("Canary4711", (), {})())) == "object"


VALUE = {"a": np.ones((2, 3)), "b": [1, None, Columns({"x": [1, 2], "y": [3, 4]})]}


def test_leaves_are_in_one_order_and_rebuild_the_tree():
    found = list(leaves(describe(VALUE)))
    assert [path for path, _ in found] == [("a",), ("b", 0), ("b", 2, "x"), ("b", 2, "y")]
    rebuilt = build(describe(VALUE), iter(found))
    assert rebuilt["b"][1] is None and rebuilt["b"][2]["y"] == found[3]


@pytest.mark.parametrize(
    "path", [("a",), ("b", 2), ("b", 2, "x"), ("b", 2, ("y",)), ("b", 2, ("y", "x"), "x"), ("b", -1)]
)
def test_parts_of_values_and_of_schemas_agree(path):
    assert describe(walk(VALUE, path)) == resolve(describe(VALUE), path)


@pytest.mark.parametrize("path", [("c",), ("b", 3), ("a", 0), ("b", 2, "z"), ("b", 2, ("x", "z"))])
def test_parts_that_are_not_there(path):
    with pytest.raises(InputError, match=r"part|column"):
        resolve(describe(VALUE), path)


def test_declared_schemas():
    assert declared(spec((2, 3))) == Tensor("float64", (2, 3))
    assert declared((spec(4, "int64"), {"x": np.zeros(2)})) == Items(
        (Tensor("int64", (4,)), Fields(("x",), (Tensor("float64", (2,)),)))
    )
    with pytest.raises(InputError, match="argot"):
        declared("float")
    with pytest.raises(InputError, match="complex"):
        spec(2, "complex128")
    assert same(Tensor("int64"), Opaque()) and not same(Tensor("int64"), Tensor("int64", (1,)))
    assert same(Items((Tensor("int64"),)), Items((Opaque(),)))
