"""`benchmarks/peer_table.py`: its rows, its ratios, and that both programs of a row compute the same."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import gmean

from argot.bench import cancer, mlp, mpc

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def scripts():
    """peer_table and the peer's script; both import what they need when they run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        patch.syspath_prepend(str(BENCHMARKS / "peers"))
        names = ("peer_table", "spu_run", "run", "memory")
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


def test_what_was_sent_ahead_counts(scripts):
    table, row = scripts[0], measured("a", 1, 10, 30, 40)
    row["ours"]["bytes_ahead"] = 5
    assert table.sent(row["ours"]) == 35
    assert "35 (5 ahead)" in table.table([row])


def test_a_row_without_peer_or_limit_is_told_and_in_no_mean(scripts):
    alone = {"name": "b", "ours": {"seconds": 2, "bytes_total": 9}, "time_text": "completes"}
    free = measured("c", 3, 4, 9, 10) | {"time_limit": None, "bytes_limit": None}
    lines = {
        line.split("|")[1].strip(): line for line in scripts[0].table([measured("a", 1, 10), alone, free]).splitlines()
    }
    assert "| completes |" in lines["b"] and "missed" not in lines["b"] + lines["c"]
    assert f"{gmean([0.1, 0.75]):.3f}" in lines["geometric mean"]


def test_peaks_of_memory_are_a_table_of_their_own(scripts):
    row = measured("less:1e6", 1, 10) | {"memory": 0.3, "memory_limit": 0.25}
    row["ours"]["peak_bytes"], row["peer"]["peak_bytes"] = 3e8, 1e9
    assert "| less:1e6 | 300 MB | 1000 MB | 0.300 **missed** | 0.25 |" in scripts[0].table([row])


def test_the_limits_of_two_parties_alone(scripts):
    limits = {row.name: (row.time, row.bytes) for row in scripts[0].CHEETAH}
    assert limits["less:1e6"] == (0.15, 0.5) and limits["mul:1e6"][0] == 0.2 and limits["sigmoid:1e5"][0] == 0.05
    assert limits["matmul:500x500x500"] == (0.2, 0.7) and limits["cancer:10x64"] == (0.1, 0.1)
    assert limits["setup"][0] == 0.5 and all(limits[f"{op}:1e4"][0] == 0.05 for op in ("reciprocal", "log", "sqrt"))


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


def test_both_infer_the_same(scripts):
    scores, arguments = scripts[1].program("infer", [32])
    want = mlp.scores(mlp.weights(), mlp.images(32, mlp.HELD_OUT))
    np.testing.assert_allclose(scores(*arguments), want, atol=1e-4)


def test_both_regressions_have_the_same_rows(scripts, tmp_path):
    x = np.hstack([cancer.columns(0), cancer.columns(1)]).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=x, y=cancer.labels().astype(np.float32))
    fit, (got, labels) = scripts[1].program("cancer", [10, 64], tmp_path / "rows.npz")
    np.testing.assert_array_equal(got, x)
    weights, constant = fit(got, labels)
    assert got.shape == (cancer.ROWS, cancer.COLUMNS)
    assert np.mean((got @ np.asarray(weights) + float(constant) > 0) == (labels > 0.5)) > 0.95


def test_both_networks_are_the_same(scripts):
    fit, (start, x, y) = scripts[1].program("mlp", [256, 64])
    np.testing.assert_array_equal(x, mlp.images(256, mlp.TRAINING).astype(np.float32))
    np.testing.assert_array_equal(y, mlp.labels(256, mlp.TRAINING))
    ours = mlp.epoch(64, mlp.weights(), x, y)
    for got, want in zip(fit(start, x, y), ours, strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)
