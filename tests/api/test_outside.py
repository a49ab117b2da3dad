"""Data owners outside of the device that computes: they share into it, and are told results."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

import argot
from argot.errors import ArgotError, EncodeError, InputError, MoveRefused, ProgramMismatch
from argot.graph.graph import Call, Lowered

X = np.linspace(-3.0, 3.0, 12).reshape(3, 4)


GUIDE = Path(__file__).parent.parent.parent / "docs" / "guides" / "protocols.md"


def test_the_example_of_the_guide(capsys):
    (example,) = [b for b in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL) if "north" in b]
    found = {}
    exec(compile(example, str(GUIDE), "exec"), found)
    np.testing.assert_allclose(found["both"], [162.0, 162.0], atol=1e-3)
    assert "south shared float64[2] on mpc" in capsys.readouterr().out


@pytest.fixture(scope="module")
def five():
    with argot.local("alice", "bob", "carol", "dave", "erin") as federation:
        yield federation


@pytest.fixture(scope="module")
def aby3(five):
    return five.mpc("alice", "bob", "carol", name="aby")


@pytest.fixture(scope="module")
def dealt(five):
    return five.mpc("alice", "bob", protocol="semi2k", dealer="carol", name="dealt")


@pytest.fixture(scope="module", params=["aby3", "dealt"])
def device(request):
    return request.getfixturevalue(request.param)


def at(place, function, *args):
    return argot.device(place)(function)(*args)


def test_two_owners_outside_and_one_inside(five, device):
    x, y = at(five["dave"], lambda: X), at(five["erin"], lambda: 2 * X)
    z = at(five["bob"], lambda: X + 1)
    product = at(device, lambda x, y, z: (x * y + z, (x > 0) & (y > 1)), x, y, z)
    for to in ("dave", "erin", "alice"):
        numbers, bits = argot.reveal(product, to=to).value()
        np.testing.assert_allclose(numbers, X * 2 * X + X + 1, atol=1e-3)
        assert (bits == ((X > 0) & (2 * X > 1))).all()


@pytest.mark.parametrize(
    "value",
    [
        np.array(-7, np.int32),
        np.arange(-3, 3, dtype=np.int8),
        np.array([True, False, True]),
        np.zeros((0, 3)),
        np.array(1.25),
        np.arange(100, dtype=np.int64).reshape(4, 5, 5),
        np.array([0.5, -2.0], np.float32),
    ],
    ids=lambda value: f"{value.dtype}{list(value.shape)}",
)
def test_every_kind_of_number_goes_in_and_comes_out(five, device, value):
    shared = at(device, lambda v: v, at(five["dave"], lambda: value))
    found = argot.reveal(shared, to="erin").value()
    assert found.shape == value.shape and found.dtype.kind == value.dtype.kind
    np.testing.assert_array_equal(found, value)


def test_columns_of_a_table_keep_their_origins_and_the_report_names_the_owner(five, device, tmp_path):
    file = tmp_path / "people.csv"
    file.write_text("age,income\n" + "".join(f"{i},{i * 10}.5\n" for i in range(8)))
    table = five["dave"].table(str(file))
    total = at(device, lambda t: t["age"].sum() + t["income"].sum(), table[["age", "income"]])
    found = argot.reveal(total, to="erin")
    np.testing.assert_allclose(found.value(), 28 + 284, atol=1e-3)
    report = five.report()
    line = report.brought[-1]
    assert line.startswith("dave shared") and f"on {device.name}" in line and "dave:people[age, income]" in line
    assert line in str(report)
    assert any(told.to == "erin" and told.origins == ("dave:people[age, income]",) for told in report.learned)
    assert {told.to for told in report.learned if told.origins == ("dave:people[age, income]",)} == {"erin"}


def test_a_value_is_shared_once_for_each_handle(five, device):
    x = at(five["dave"], lambda: X)
    first, second = at(device, lambda x: x + 1, x), at(device, lambda x: x * x, x)
    five.wait(first, second)
    assert sum(record.op == "share" and x.ref in record.inputs for record in five.graph) == 1


def test_public_and_private_parts_of_a_result_are_told_as_they_are(five, device):
    mine = at(five["bob"], lambda: np.array([1.5, 2.5]))
    result = at(device, lambda v: (np.array([1 / 3, 2.0]), v + 1, v), mine)
    public, private, own = argot.reveal(result, to="dave").value()
    np.testing.assert_allclose(public, [1 / 3, 2.0], rtol=1e-7)  # closer than the grid of the ring
    np.testing.assert_allclose(private, [2.5, 3.5], atol=1e-4)
    np.testing.assert_allclose(own, [1.5, 2.5], atol=1e-4)


def test_what_a_device_cannot_hold_is_named_by_the_owner_alone(five, device):
    for value, says in ((np.array([1.0, np.nan]), "nan"), (np.array([0.0, 1e30]), "1e\\+30")):
        shared = at(device, lambda v: v + 1, at(five["dave"], lambda value=value: value))
        with pytest.raises(EncodeError, match=says) as caught:
            shared.wait()
        assert caught.value.party == "dave"
    with pytest.raises(InputError, match="of dave is str"):
        at(device, lambda v: v, at(five["dave"], lambda: "text")).wait()


def test_ranges_that_the_owner_declared_are_kept(five, device):
    x = argot.device(five["dave"], returns=argot.spec((4,), "float64", low=0.0, high=2.0))(lambda: np.ones(4))()
    unknown = at(five["dave"], lambda: np.ones(4))
    ranged, plain = (at(device, lambda x: 1 / (1 + x), handle) for handle in (x, unknown))
    for handle in (ranged, plain):
        np.testing.assert_allclose(argot.reveal(handle, to="dave").value(), np.full(4, 0.5), atol=1e-3)
    cost, of_unknown = (five.report().cost_of([handle.ref.product.record.number])[1] for handle in (ranged, plain))
    assert cost < of_unknown


def test_explain_takes_a_value_from_outside_for_a_secret(five, device):
    x = at(five["dave"], lambda: X)
    assert five.explain(argot.device(device)(lambda x: x * x), x).estimate.rounds >= 1


def test_a_party_gets_no_secret_of_a_device_it_does_not_belong_to(five, device):
    x = at(device, lambda v: v, at(five["dave"], lambda: X))
    with pytest.raises(MoveRefused, match="of " + device.name):
        at(five["dave"], lambda v: v, x)


def test_a_driver_that_lies_about_the_device_is_refused_by_its_members(five, aby3):
    """Another ring, or other members, under the name of a device that is there."""
    x = at(five["dave"], lambda: X)
    honest = five.outside(aby3.spec, "dave")
    for number, change in enumerate(({"ring": 32, "fraction_bits": 8}, {"parties": ("bob", "alice", "carol", "dave")})):
        spec = five._open(msgspec.structs.replace(honest, name=f"forged{number}", **change)).device
        call = Call(
            spec, "share", "share", lambda refs: Lowered(b"", refs[0].schema), [x],
            owners=["aby"], visibility="secret", needs_schemas=True,
        )  # fmt: skip
        with pytest.raises(ArgotError) as caught:
            five.submit(call)[0].wait()
        assert isinstance(caught.value, ProgramMismatch)


def test_a_value_of_a_member_cannot_be_shared_in_the_name_of_another(five, aby3):
    spec = five.outside(aby3.spec, "dave")
    x = at(five["erin"], lambda: X)
    y = at(five["alice"], lambda: X)
    for handle in (x, y):
        call = Call(
            spec, "share", "share", lambda refs: Lowered(b"", refs[0].schema), [handle],
            owners=["aby"], visibility="secret", needs_schemas=True,
        )  # fmt: skip
        with pytest.raises(ProgramMismatch, match="wanted: a value of dave"):
            five.submit(call)[0].wait()
