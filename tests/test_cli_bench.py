"""`argot bench ... --json`: what the objects say of small runs."""

import contextlib
import json
import sys

import numpy as np
import pytest

import argot
from argot import cli
from argot.bench import mlp, mpc

STEP = 2.0**-18
# Of the absolute error: the documented ones (docs/reference/accuracy.md) rounded up, two steps for one truncation; what
# is exact has 0. Softmax divides exponentials, the chain adds a truncation a link to a number below 3.7.
BOUNDS = {
    "mul": 2 * STEP,
    "imul": 0,
    "less": 0,
    "equal": 0,
    "where": 0,
    "relu": 0,
    "exp": 2 * STEP,
    "log": 2 * STEP,
    "sigmoid": 5.3e-5,
    "tanh": 5.6e-5,
    "reciprocal": 2 * STEP,
    "sqrt": 9 * STEP,
    "rsqrt": 2 * STEP,
    "max": 0,
    "softmax": 8 * STEP,
    "sort": 0,
    "matmul": 2 * STEP,
    "chain": 200 * STEP,
}


FIGURES = [
    *("seconds", "seconds_mean", "bytes_total", "bytes_ahead", "bytes_busiest", "rounds"),
    *("seconds_setup", "bytes_setup"),
]


@pytest.fixture
def bench(capsys, monkeypatch):
    """The command line in this process; its exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["argot", "bench", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        found = capsys.readouterr()
        return ended.value.code, found.out, found.err

    return run


@pytest.fixture(scope="module")
def agents():
    with argot.local("alice", "bob", "carol") as federation:
        yield federation


@pytest.fixture
def together(agents, monkeypatch):
    """One federation for many operations: starting it is most of the time of a small run."""
    monkeypatch.setattr(mpc, "local", lambda *names: contextlib.nullcontext(agents))


def found(ran):
    code, out, err = ran
    assert (code, err) == (0, "")
    (line,) = out.splitlines()
    return json.loads(line)


def check_costs(figures):
    assert figures["seconds"] > 0 and figures["bytes_total"] > 0 and figures["rounds"] > 0
    assert isinstance(figures["bytes_total"], int) and isinstance(figures["rounds"], int)
    if figures["op"] != "psi":
        assert figures["bytes_total"] / 3 <= figures["bytes_busiest"] < figures["bytes_total"]


@pytest.mark.parametrize("op", BOUNDS)
def test_an_operation(bench, together, op):
    size = "4,5,6" if op == "matmul" else "50"
    figures = found(bench("mpc", "--op", op, "--n", size, "--reps", "1", "--json"))
    assert list(figures) == [
        *(
            "op",
            "n",
            "protocol",
            *FIGURES,
            "max_abs_error",
            "max_rel_error",
            "assumed_range",
        )
    ]
    assert (figures["op"], figures["protocol"], figures["assumed_range"]) == (op, "aby3", None)
    assert figures["n"] == ([4, 5, 6] if op == "matmul" else 50)
    check_costs(figures)
    error, relative = figures["max_abs_error"], figures["max_rel_error"]
    assert 0 < error <= BOUNDS[op] if BOUNDS[op] else error == 0
    assert relative <= error / 1e-3 and (relative > 0) == (error > 0)


def test_no_operation_is_left_out():
    assert BOUNDS.keys() == mpc.operations().keys()


def test_costs_are_those_of_the_operation(bench, together):
    def cost(*arguments):
        figures = found(bench("mpc", "--reps", "1", "--json", *arguments))
        return figures["bytes_total"], figures["rounds"]

    assert cost("--op", "imul", "--n", "50") == (50 * 3 * 8, 1)  # a number of 64 bits from each of three parties
    assert cost("--op", "imul", "--n", "100") == (100 * 3 * 8, 1)
    assert cost("--op", "chain", "--n", "50")[1] == 100 * cost("--op", "mul", "--n", "50")[1]


def test_an_error_is_not_overlooked(bench, together, monkeypatch):
    known = mpc.operations()
    off = mpc.Operation(known["mul"].run, lambda x, y: x * y + 0.25, known["mul"].arguments)
    monkeypatch.setattr(mpc, "operations", lambda: known | {"mul": off})
    figures = found(bench("mpc", "--op", "mul", "--n", "50", "--reps", "1", "--json"))
    assert figures["max_abs_error"] == pytest.approx(0.25, abs=2 * STEP)
    assert 0.25 / 17 < figures["max_rel_error"] <= 0.26 / 1e-3


def test_a_promise_about_the_inputs_is_in_the_object_and_pays(bench, together):
    arguments = "mpc", "--op", "sigmoid", "--n", "50", "--reps", "1", "--json"
    promised, without = found(bench(*arguments, "--bounds", "4")), found(bench(*arguments))
    assert promised["assumed_range"] == [-4, 4]
    assert promised["bytes_total"] < without["bytes_total"] and promised["rounds"] < without["rounds"]
    assert found(bench(*arguments, "--bounds", "-4,5"))["assumed_range"] == [-4, 5]


def test_without_json_it_is_for_people(bench):
    code, out, err = bench("mpc", "--op", "mul", "--n", "5", "--reps", "1")
    assert (code, err) == (0, "") and not out.startswith("{")
    assert {"op", "seconds", "bytes_total", "max_abs_error"} <= {line.split()[0] for line in out.splitlines()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--op", "multiply", "--n", "5"), ["'multiply'", ", ".join(BOUNDS)]),
        (("--op", "matmul", "--n", "5"), ["--n 5", "M,K,N"]),
        (("--op", "mul", "--n", "0"), ["--n 0", "positive"]),
        (("--op", "mul", "--n", "4", "--bounds", "5,4"), ["--bounds 5,4", "LOW,HIGH"]),
    ],
)
def test_what_is_wrong_is_said_with_what_was_wanted(bench, arguments, words):
    code, out, err = bench("mpc", *arguments, "--json")
    assert (code, out) == (1, "") and all(word in err for word in words)


def test_an_intersection(bench):
    figures = found(bench("psi", "--n", "101", "--reps", "1", "--json"))
    assert list(figures) == ["op", "n", "seconds", "bytes_total", "rounds", "intersection"]
    assert (figures["op"], figures["n"], figures["intersection"]) == ("psi", 101, 50)
    check_costs(figures)
    assert figures["bytes_total"] > 2 * 101 * 32  # a point of 32 bytes for every id goes over at least


def test_logistic_regression(bench):
    figures = found(bench("lr", "--rows", "200", "--cols", "4", "--batch", "64", "--reps", "1", "--json"))
    assert list(figures) == ["op", "rows", "cols", "batch", *FIGURES, "auc"]
    assert [figures[name] for name in ("op", "rows", "cols", "batch")] == ["lr", 200, 4, 64]
    check_costs(figures)
    assert 0.85 < figures["auc"] < 1


def test_a_network(bench):
    figures = found(bench("mlp", "--rows", "640", "--batch", "64", "--reps", "1", "--json"))
    assert list(figures) == [*("op", "rows", "batch", *FIGURES, "accuracy", "accuracy_plain")]
    assert [figures[name] for name in ("op", "rows", "batch")] == ["mlp", 640, 64]
    check_costs(figures)
    assert 0.25 < figures["accuracy_plain"] < 0.95  # more than by chance, less than if nothing could go wrong
    assert figures["accuracy"] == pytest.approx(figures["accuracy_plain"], abs=0.01)


def test_scores_of_a_network(bench):
    figures = found(bench("infer", "--rows", "16", "--reps", "1", "--json"))
    assert list(figures) == ["op", "rows", *FIGURES, "max_abs_error"]
    check_costs(figures)
    assert 0 < figures["max_abs_error"] < 1e-3


def test_breast_cancer(bench):
    figures = found(bench("cancer", "--epochs", "2", "--reps", "1", "--json"))
    assert list(figures) == ["op", "epochs", "batch", *FIGURES, "auc", "max_abs_error"]
    check_costs(figures)
    assert figures["auc"] > 0.98 and 0 < figures["max_abs_error"] < 1e-2


def test_two_parties_alone_count_what_they_send_ahead(bench):
    """Set-up of Cheetah: two agents; correlations of both directions are made once a device."""
    figures = found(bench("mpc", "--op", "less", "--n", "50", "--protocol", "cheetah", "--reps", "1", "--json"))
    assert figures["max_abs_error"] == 0
    assert figures["seconds_setup"] > 0 and figures["bytes_setup"] > 10 * figures["bytes_total"]
    assert figures["bytes_ahead"] == 0  # 50 comparisons need no more correlations than the set-up left
    made = found(bench("setup", "--reps", "1", "--json"))
    assert made["protocol"] == "cheetah" and made["seconds"] > 0
    assert made["bytes_total"] == pytest.approx(figures["bytes_setup"], rel=0.1)


def test_images_and_labels_are_of_the_same_digits():
    """Nearest picture, which knows neither network nor training."""
    x, y = mlp.images(500, mlp.HELD_OUT), mlp.labels(500, mlp.HELD_OUT)
    means = np.stack([mlp.images(5000, mlp.TRAINING)[mlp.digits(5000, mlp.TRAINING) == d].mean(0) for d in range(10)])
    nearest = ((x[:, None] - means) ** 2).sum(2).argmin(1)
    assert 0.7 < np.mean(nearest == y.argmax(1)) < 0.95


def test_sharing(bench):
    figures = found(bench("share", "--n", "1000", "--reps", "1", "--json"))
    assert list(figures) == ["op", "n", "seconds", "bytes_total", "rounds", "max_abs_error"]
    assert (figures["op"], figures["n"], figures["max_abs_error"]) == ("share", 1000, 0)
    assert figures["seconds"] > 0 and figures["rounds"] > 0
    assert figures["bytes_total"] >= 8 * 1000  # one addend of each number goes over at least
