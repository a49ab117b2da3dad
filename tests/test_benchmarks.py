"""`benchmarks/peer_table.py`: its rows, its ratios, and that both programs of a row compute the same."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import gmean

from argot.bench import mlp, mpc

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def scripts():
    """peer_table and the peer's script; both import what they need when they run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        patch.syspath_prepend(str(BENCHMARKS / "peers"))
        names = ("peer_table", "spu_run", "run")
        yield importlib.import_module("peer_table"), importlib.import_module("spu_run")
        for name in names:
            del sys.modules[name]


def measured(name, seconds, peer_seconds, sent=None, peer_sent=None):
    found = {"name": name, "ours": {"seconds": seconds, "bytes_total": sent or 1}, "peer": {"seconds": peer_seconds}}
    found |= {"time": seconds / peer_seconds, "time_limit": 0.5}
    if sent is not None:
        found["peer"]["bytes_total"] = peer_sent
        found |= {"bytes": sent / peer_sent, "bytes_limit": 0.8}
    return found


def test_the_means_are_geometric_and_leave_out_rows_without_bytes(scripts):
    rows = [measured("a", 1, 10, 30, 40), measured("b", 3, 4, 9, 10), measured("c", 1, 2)]
    mean = scripts[0].summary(rows)
    assert mean["time"] == pytest.approx(gmean([0.1, 0.75, 0.5]))
    assert mean["bytes"] == pytest.approx(gmean([0.75, 0.9]))
    assert "bytes" not in scripts[0].summary(rows[2:])


def test_what_is_above_its_limit_is_marked(scripts):
    rows = [measured("a", 1, 10, 30, 40), measured("b", 3, 4, 9, 10), measured("c", 1, 2)]
    lines = {line.split("|")[1].strip(): line for line in scripts[0].table(rows).splitlines()}
    assert "missed" not in lines["a"] + lines["c"]
    assert "0.750 **missed**" in lines["b"] and "0.900 **missed**" in lines["b"]
    assert "0.335 **missed**" in lines["geometric mean"]
    assert {line.count("|") for line in lines.values()} == {10}


def test_rows_are_chosen_by_their_own_names_or_by_their_operation(scripts):
    table = scripts[0]
    assert [row.name for row in table.chosen("sort,mul:1e6", table.ROWS)] == ["mul:1e6", "sort:1e4", "sort:1e5"]
    assert table.chosen(None, table.ROWS) == table.ROWS and len({row.name for row in table.ROWS}) == len(table.ROWS)
    with pytest.raises(ValueError, match="multiply"):
        table.chosen("mul,multiply", table.ROWS)


def test_both_programs_of_a_row_compute_the_same(scripts):
    """The peer's function on the peer's arguments, in the clear, beside ours of that name in float64."""
    table, peer = scripts
    known = mpc.operations()
    compared = {row.peer[0] for row in table.ROWS} & known.keys()
    assert known.keys() == compared
    for op in compared:
        sizes = [6, 5, 4] if op == "matmul" else [200]
        function, arguments = peer.program(op, sizes)
        want = known[op].exact(*(np.asarray(v, np.float64 if v.dtype.kind == "f" else v.dtype) for v in arguments))
        assert np.allclose(np.asarray(function(*arguments)), want, rtol=1e-4, atol=1e-5), op
        ours = known[op].arguments(*sizes)
        assert [(shape, kind[0]) for kind, _, _, shape in ours] == [
            (list(v.shape), {"f": "r", "i": "i", "b": "b"}[v.dtype.kind]) for v in arguments
        ], op


def test_both_networks_are_the_same(scripts):
    fit, (start, x, y) = scripts[1].program("mlp", [256, 64])
    np.testing.assert_array_equal(x, mlp.images(256, mlp.TRAINING).astype(np.float32))
    np.testing.assert_array_equal(y, mlp.labels(256, mlp.TRAINING))
    ours = mlp.epoch(64, mlp.weights(), x, y)
    for got, want in zip(fit(start, x, y), ours, strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)
