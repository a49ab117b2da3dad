"""Logistic regression on three real agents, against scikit-learn and the same schedule in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as Plain

import argot
from argot.errors import InputError, ProgramError
from argot.frame import Frame, owner
from argot.linear import LogisticRegression, schedule
from argot.preprocessing import scaler
from argot.stats import ranking

ROWS = 150


def features(half: int) -> dict[str, np.ndarray]:
    x = np.random.default_rng([3, half]).normal(size=(ROWS, 3)) * [1, 20, 300] + [5, 0, -100]
    return {f"x{half}{i}": x[:, i] for i in range(3)}


def label() -> np.ndarray:
    z = features(0)["x00"] - 5 + features(1)["x11"] / 20
    return (np.random.default_rng(4).uniform(size=ROWS) < 1 / (1 + np.exp(-2 * z))).astype(np.int64)


def table(half: int) -> dict[str, np.ndarray]:
    from argot.devices.schema import Columns

    return Columns(features(half) | ({"y": label()} if half else {}))


@pytest.fixture(scope="module")
def federation():
    with argot.local("alice", "bob", "carol") as fed:
        yield fed


@pytest.fixture(scope="module")
def frame(federation):
    alice, bob, _ = federation.parties
    return Frame({alice: argot.device(alice)(table)(0), bob: argot.device(bob)(table)(1)})


@pytest.fixture(scope="module")
def device(federation):
    return federation.mpc(*federation.parties)


@pytest.fixture(scope="module")
def model(device, frame):
    seen = []
    model = LogisticRegression(device=device, max_iter=6, batch_size=32)
    model.fit(frame.drop("y"), frame["y"], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(1, 7)]
    return model


def clear(model: LogisticRegression) -> np.ndarray:
    """The same schedule in float64."""
    parts = [np.stack(list(features(half).values()), axis=1) for half in (0, 1)]
    scaled = [scaler.transform(p, scaler.fit(p)) for p in parts]
    with jax.enable_x64(True):
        x, y = schedule.design([jnp.asarray(p) for p in scaled], jnp.asarray(label(), float), model.batch_size)
        w = jnp.zeros(x.shape[2])
        for _ in range(model.max_iter):
            w = schedule.epoch(w, x, y, rows=ROWS, learning_rate=model.learning_rate, alpha=1 / ROWS)
    return np.asarray(w)


def test_weights_are_those_of_the_same_schedule_in_the_clear(federation, model):
    want = clear(model)
    coef = argot.reveal(model.coef_, to="bob").value()
    assert coef.shape == (6,)
    np.testing.assert_allclose(coef, want[1:], atol=2e-3)
    assert float(argot.reveal(model.intercept_, to="bob").value()) == pytest.approx(want[0], abs=2e-3)
    assert list(model.feature_names_in_) == ["x00", "x01", "x02", "x10", "x11", "x12"]
    assert model.n_features_in_ == 6


def test_ranks_rows_as_scikit_learn_does(federation, model, frame):
    probability = argot.reveal(model.predict_proba(frame.drop("y")), to="bob").value()
    assert probability.shape == (ROWS, 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-5)
    x = np.hstack([np.stack(list(features(half).values()), axis=1) for half in (0, 1)])
    x = scaler.transform(x, scaler.fit(x))
    plain = Plain(C=1.0).fit(x, label()).predict_proba(x)[:, 1]
    assert abs(ranking.auc(label(), probability[:, 1]) - ranking.auc(label(), plain)) < 0.005


def test_a_saved_model_predicts_the_same(federation, device, model, frame):
    model.save("scores-2026")
    again = LogisticRegression.load(device, "scores-2026", federation.parties[:2])
    assert list(again.feature_names_in_) == list(model.feature_names_in_)
    rows = frame.drop("y")
    ours, theirs = (argot.reveal(m.predict_proba(rows), to="alice").value() for m in (again, model))
    np.testing.assert_allclose(ours, theirs, atol=2e-4)  # truncation rounds anew in each run


def test_weights_stay_secret(model):
    with pytest.raises(argot.errors.MoveRefused, match="reveal"):
        model.coef_.value()
    assert "secret" in repr(model.coef_)
    assert repr(model) == (
        f"LogisticRegression(device={model.device.name}, C=1, max_iter=6, learning_rate=0.5, batch_size=32; "
        "fitted on 6 features)"
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"C": 0.0}, "C=0.0"),
        ({"C": float("nan")}, "C=nan"),
        ({"C": "a"}, "C='a'"),
        ({"C": True}, "C=True"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"max_iter": False}, "max_iter=False"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"batch_size": None}, "batch_size=None"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"learning_rate": [1]}, r"learning_rate=\[1\]"),
        ({"device": "alice"}, "device='alice'"),
    ],
)
def test_parameters_out_of_range_are_refused_when_given(device, parameters, message):
    with pytest.raises(InputError, match=message) as caught:
        LogisticRegression(**({"device": device} | parameters))
    assert caught.value.wanted


def test_parameters_set_later_are_refused_by_fit(device, frame):
    model = LogisticRegression(device=device, C=np.float32(1), max_iter=np.int64(1))
    model.C = "a"
    with pytest.raises(InputError, match="C='a'"):
        model.fit(frame.drop("y"), frame["y"])


def broken(half: int, column: str, row: int, value: float) -> dict[str, np.ndarray]:
    found = table(half)
    found[column] = np.where(np.arange(ROWS) == row, value, found[column])
    return found


def split_frame(federation, **wrong):
    alice, bob, _ = federation.parties
    parts = {alice: argot.device(alice)(table)(0), bob: argot.device(bob)(broken)(1, **wrong)}
    return Frame(parts).split(0.2, random_state=5)[0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_cells_that_are_not_finite_are_named_as_their_owner_knows_them(federation, device, value):
    kept = owner.halves(ROWS, 0.2, 5)[0]
    row = int(kept[0])
    assert row != 0
    train = split_frame(federation, column="x11", row=row, value=value)
    with pytest.raises(InputError, match=rf"column 'x11' \(row {row}\)$|column 'x11' \(row {row}\)\n") as caught:
        LogisticRegression(device=device).fit(train[["x00", "x10", "x11"]], train["y"])._weights.wait()
    assert caught.value.party == "bob"


@pytest.mark.parametrize("frames", [False, True])
def test_labels_other_than_0_and_1_are_refused_at_their_owner(federation, device, frames):
    row = int(owner.halves(ROWS, 0.2, 5)[0][0])
    train = split_frame(federation, column="y", row=row, value=2)
    labels = train[["y"]] if frames else train["y"]
    with pytest.raises(InputError, match=rf"1 of 120 labels in column 'y' are neither 0 nor 1: row {row}\b") as caught:
        LogisticRegression(device=device).fit(train.drop("y"), labels)._weights.wait()
    assert caught.value.party == "bob" and "0 and 1" in str(caught.value)


def test_booleans_are_labels(federation, device, frame, model):
    labels = argot.device(federation["bob"])(lambda y: y == 1)(frame["y"])
    again = LogisticRegression(device=device, max_iter=6, batch_size=32).fit(frame.drop("y"), labels)
    ours, theirs = (argot.reveal(m.coef_, to="bob").value() for m in (again, model))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_misuse_is_named(federation, device, model, frame):
    with pytest.raises(ProgramError, match="no weights yet"):
        LogisticRegression(device=device).predict_proba(frame.drop("y"))
    with pytest.raises(InputError, match="as fitted"):
        model.predict_proba(frame[["x00", "x10"]])
    bob = federation["bob"]
    with pytest.raises(InputError, match="labels of shape"):
        LogisticRegression(device=device).fit(frame.drop("y"), argot.device(bob)(np.zeros)(3))
    with pytest.raises(InputError, match="no column 'z'"):
        frame.drop("z")
