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

STEPS = 40
FALSE_RATES = np.arange(STEPS + 1) / STEPS
"""Where `evaluate` reads off the ROC curve, whose own points are the labels in the order of the scores. Of 40 zeros or
fewer so are these; of more they tell how many 1s lie between every 40th part of the zeros.
"""


def auc(label: Array, score: Array) -> Array:
    """Area under the ROC curve: the chance that a random 1 scores above a random 0, ties counting half.

    Of the pairs of a 1 and a 0 those in which the 0 comes first, in ascending order of scores: once with ties in
    favour, once against. They are counted exactly, by reals below 2^44 in fixed point of 18 fraction bits.
    """
    one = label.astype(bool)

    def won(second: Array) -> Array:
        _, _, ordered = lax.sort((score, second, one), num_keys=2)
        zeros_before = jnp.cumsum(~ordered).astype(score.dtype)
        return jnp.sum(jnp.where(ordered, zeros_before, 0.0))

    return (won(one) + won(~one)) / (2 * jnp.sum(one)) / jnp.sum(~one)


def roc_curve(label: Array, score: Array) -> tuple[Array, Array]:
    """The ROC curve: false and true positive rates if the first 0, 1, ..., n rows count as 1, by descending score.

    A point within a group of equal scores repeats the point before the group. Both (n + 1,).
    """
    hits, misses = _counts(label, score)
    true_rate, false_rate = (jnp.concatenate([jnp.zeros(1), count / count[-1]]) for count in (hits, misses))
    return false_rate, true_rate


def rate_at(label: Array, score: Array, steps: int = STEPS) -> Array:
    """The true positive rate that false positive rates of at most 0, 1 / steps, ..., 1 allow. (steps + 1,)

    The ROC curve rises from point to point, so this is the sum of all rises at points that are not too far right.
    """
    hits, misses = _counts(label, score)
    allowed = steps * misses[:, None] <= jnp.arange(steps + 1) * misses[-1]
    return (jnp.diff(hits, prepend=0) @ allowed) / hits[-1]


def ks(label: Array, score: Array) -> Array:
    """Kolmogorov-Smirnov distance between the scores of the two classes: max |TPR - FPR|."""
    hits, misses = _counts(label, score)
    return jnp.max(jnp.abs(hits / hits[-1] - misses / misses[-1]))


def _counts(label: Array, score: Array) -> tuple[Array, Array]:
    """By descending score: 1s and 0s so far, (n,); of rows with one score the last counts them all, the others none."""
    descending, one = lax.sort((-score, label.astype(bool)), num_keys=1)
    ends = jnp.concatenate([descending[1:] != descending[:-1], jnp.ones(1, bool)])
    hits, misses = (lax.cummax(jnp.where(ends, jnp.cumsum(of), 0)) for of in (one, ~one))
    return hits, misses


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
        auc, ks, accuracy, log_loss; rate (41,), the ROC curve at `FALSE_RATES`, for 41 comparisons a row.
    """
    score = probability.reshape(label.shape[0], -1)[:, -1]
    return {
        "auc": auc(label, score),
        "ks": ks(label, score),
        "accuracy": accuracy(label, score),
        "log_loss": log_loss(label, score),
        "rate": rate_at(label, score),
    }
