"""How good predictions are, in JAX: for devices that compute on secrets, where labels and scores may be of different
owners and only the figure is revealed.

    area = argot.device(mpc)(metrics.auc)(label, score)
    argot.reveal(area, to=bob)

Everything is a function of whole columns: `label` (n,) of 0 and 1, `score` or `probability` (n,). On shares the order
of the scores is found by a secret sort, and stays secret. Both classes must occur: if one does not, the results say
nothing, and nobody is told. `ranking` has the same for a party that has labels and scores in the clear.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

FALSE_RATES = np.linspace(0, 1, 41)
"""Where `evaluate` reads off the ROC curve: its own points would tell the labels in the order of the scores."""


def auc(label: Array, score: Array) -> Array:
    """Area under the ROC curve: the chance that a random 1 scores above a random 0, ties counting half.

    Of the pairs of a 1 and a 0 those in which the 0 comes first, in ascending order of scores: once with ties in
    favour, once against. In fixed point of f fraction bits the error is about 2^-f n^2 / (ones * zeros).
    """
    n = label.shape[0]
    one = label.astype(bool)

    def won(second: Array) -> Array:
        _, _, ordered = lax.sort((score, second, one), num_keys=2)
        zeros_before = jnp.cumsum(~ordered) / n
        return jnp.sum(jnp.where(ordered, zeros_before, 0.0)) / n

    ones = jnp.sum(one) / n
    return 0.5 * (won(one) + won(~one)) / (ones * (1 - ones))


def roc_curve(label: Array, score: Array) -> tuple[Array, Array]:
    """The ROC curve: false and true positive rates if the first 0, 1, ..., n rows count as 1, by descending score.

    A point within a group of equal scores repeats the point before the group. Both (n + 1,).
    """
    hits, misses, ends = _counts(label, score)
    true_rate, false_rate = (
        jnp.concatenate([jnp.zeros(1), lax.cummax(jnp.where(ends, count, 0)) / count[-1]]) for count in (hits, misses)
    )
    return false_rate, true_rate


def rate_at(label: Array, score: Array, false_rates: Array | np.ndarray) -> Array:
    """The true positive rate that a false positive rate of at most `false_rates` (m,), public, allows. (m,)

    The ROC curve rises from point to point, so this is the sum of all rises at points that are not too far right.
    """
    false_rate, rate = roc_curve(label, score)
    error = 2**-14  # of a quotient in fixed point
    return jnp.diff(rate, prepend=0.0) @ (false_rate[:, None] <= jnp.asarray(false_rates) + error)


def ks(label: Array, score: Array) -> Array:
    """Kolmogorov-Smirnov distance between the scores of the two classes: max |TPR - FPR|."""
    hits, misses, ends = _counts(label, score)
    return jnp.max(jnp.where(ends, jnp.abs(hits / hits[-1] - misses / misses[-1]), 0.0))


def _counts(label: Array, score: Array) -> tuple[Array, Array, Array]:
    """By descending score: 1s so far, 0s so far, both over n, and whether the next score is another."""
    n = label.shape[0]
    descending, one = lax.sort((-score, label.astype(bool)), num_keys=1)
    ends = jnp.concatenate([descending[1:] != descending[:-1], jnp.ones(1, bool)])
    return jnp.cumsum(one) / n, jnp.cumsum(~one) / n, ends


def accuracy(label: Array, probability: Array, threshold: float = 0.5) -> Array:
    """The share of rows in which `probability` is above the threshold exactly where the label is 1."""
    return jnp.mean((probability > threshold) == label.astype(bool))


def log_loss(label: Array, probability: Array, smallest: float = 1e-4) -> Array:
    """Minus the mean logarithm of the probability of the class that came true, which counts as at least `smallest`."""
    right = jnp.where(label.astype(bool), probability, 1 - probability)
    return -jnp.mean(jnp.log(jnp.maximum(right, smallest)))


def evaluate(label: Array, probability: Array) -> dict[str, Any]:
    """All of them; `probability` is (n,) or (n, 2), of which the last column is P(y = 1).

    Returns:
        auc, ks, accuracy, log_loss; rate (41,), the ROC curve at `FALSE_RATES`.
    """
    score = probability.reshape(label.shape[0], -1)[:, -1]
    return {
        "auc": auc(label, score),
        "ks": ks(label, score),
        "accuracy": accuracy(label, score),
        "log_loss": log_loss(label, score),
        "rate": rate_at(label, score, FALSE_RATES),
    }
