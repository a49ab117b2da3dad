"""Metrics on shares against scikit-learn, with ties and without."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as reference

from argot.mpc.aby3 import Aby3
from argot.stats import metrics, ranking
from argot.vm.conformance import on_world
from argot.vm.ir import private
from argot.vm.lower import Spec, trace

RNG = np.random.default_rng(3)
N = 200
LABEL = (RNG.random(N) < 0.3).astype(np.int64)
SCORE = np.round(np.clip(0.5 * RNG.normal(size=N) * 0.4 + 0.3 * LABEL + 0.3, 0.01, 0.99) * 2**18) / 2**18
SCORES = {"distinct": SCORE, "ties": np.round(SCORE * 8) / 8, "all equal": np.full(N, 0.5)}


def on_shares(fn, label, score):
    """Labels of one owner, scores that nobody knows."""
    program = trace(fn, [Spec(label.shape, "int64", private(1)), Spec(score.shape)]).program
    return on_world(Aby3, program, [label, score])[0]


@pytest.mark.parametrize("case", SCORES)
def test_ranking(case):
    score = SCORES[case]
    area, distance = on_shares(lambda y, s: (metrics.auc(y, s), metrics.ks(y, s)), LABEL, score)
    assert area == pytest.approx(reference.roc_auc_score(LABEL, score), abs=1e-4)
    assert distance == pytest.approx(ranking.ks(LABEL, score), abs=1e-4)


@pytest.mark.parametrize("case", SCORES)
def test_the_curve_has_the_points_of_the_clear_one(case):
    score = SCORES[case]
    false_rate, rate = on_shares(metrics.roc_curve, LABEL, score)
    wanted = reference.roc_curve(LABEL, score, drop_intermediate=False)
    points = np.unique(np.round(np.stack([false_rate, rate], 1), 3), axis=0)
    np.testing.assert_allclose(points, np.unique(np.round(np.stack(wanted[:2], 1), 3), axis=0), atol=2e-3)
    assert (np.diff(false_rate) >= -1e-5).all() and (np.diff(rate) >= -1e-5).all()


def test_threshold_metrics():
    right, loss = on_shares(lambda y, s: (metrics.accuracy(y, s), metrics.log_loss(y, s)), LABEL, SCORE)
    assert right == pytest.approx(reference.accuracy_score(LABEL, SCORE > 0.5), abs=1e-4)
    assert loss == pytest.approx(reference.log_loss(LABEL, SCORE), abs=1e-3)


def test_the_same_in_the_clear():
    with jax.enable_x64(True):
        found = metrics.evaluate(jnp.asarray(LABEL), jnp.stack([1 - SCORE, SCORE], 1))
    assert float(found["auc"]) == pytest.approx(reference.roc_auc_score(LABEL, SCORE))
    assert float(found["log_loss"]) == pytest.approx(reference.log_loss(LABEL, SCORE))
    false_rate, rate, _ = reference.roc_curve(LABEL, SCORE, drop_intermediate=False)
    wanted = [rate[false_rate <= most + 1e-9].max() for most in metrics.FALSE_RATES]
    np.testing.assert_allclose(found["rate"], wanted, atol=1e-6)


@pytest.mark.parametrize("case", SCORES)
def test_the_curve_at_false_rates(case):
    score = SCORES[case]
    (found,) = on_shares(lambda y, s: (metrics.rate_at(y, s),), LABEL, score)
    false_rate, rate, _ = reference.roc_curve(LABEL, score, drop_intermediate=False)
    wanted = [rate[false_rate <= most + 1e-9].max() for most in metrics.FALSE_RATES]
    np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize("rare", [0, 1])
def test_few_rows_of_one_class(rare):
    """Quotients are of whole numbers: nothing is lost where one class is a hundredth of the other."""
    rng = np.random.default_rng(5)
    n = 4000
    label = np.where(rng.permutation(n) < 40, rare, 1 - rare)
    score = np.round((0.2 * label + rng.random(n)) * 2**16) / 2**18
    found = on_shares(lambda y, s: (metrics.auc(y, s), metrics.ks(y, s), metrics.rate_at(y, s)), label, score)
    false_rate, rate, _ = reference.roc_curve(label, score, drop_intermediate=False)
    assert found[0] == pytest.approx(reference.roc_auc_score(label, score), abs=1e-4)
    assert found[1] == pytest.approx(np.abs(rate - false_rate).max(), abs=1e-4)
    wanted = [rate[false_rate <= most + 1e-9].max() for most in metrics.FALSE_RATES]
    np.testing.assert_allclose(found[2], wanted, atol=1e-4)
