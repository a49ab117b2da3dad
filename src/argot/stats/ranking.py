"""How well scores rank a binary label: ROC curve, area under it, Kolmogorov-Smirnov distance.

NumPy only, so that they run at the party that owns labels and scores.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError


def roc_curve(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ROC curve, one point for each distinct score, from (0, 0) to (1, 1).

    Args:
        label: (n,) of 0 and 1, both present.
        score: (n,) of finite numbers; higher means more likely 1.

    Returns:
        False positive rates, true positive rates and thresholds, each (m,); the first threshold is infinite.

    Raises:
        InputError: the lengths differ, or only one class is there.
    """
    label, score = np.asarray(label).reshape(-1), np.asarray(score, dtype=np.float64).reshape(-1)
    if label.shape != score.shape:
        raise InputError(
            f"{label.size} labels and {score.size} scores", wanted="one score for each label, in the same order"
        )
    positive = label == 1
    if not np.all(positive | (label == 0)):
        raise InputError("labels other than 0 and 1", wanted="a binary label coded as 0 and 1")
    if positive.all() or not positive.any():
        raise InputError(
            f"all {label.size} labels are of one class", wanted="both classes", todo="use more rows, or another split"
        )
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), score.size - 1)
    hits = np.cumsum(positive[order])[last_of_tie]
    misses = 1 + last_of_tie - hits
    rate = np.concatenate([[0], hits]) / hits[-1]
    false_rate = np.concatenate([[0], misses]) / misses[-1]
    return false_rate, rate, np.concatenate([[np.inf], score[order][last_of_tie]])


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a random 1 scores above a random 0, ties counting half."""
    false_rate, rate, _ = roc_curve(label, score)
    return float(np.trapezoid(rate, false_rate))


def ks(label: np.ndarray, score: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance between the scores of the two classes: max |TPR - FPR|."""
    false_rate, rate, _ = roc_curve(label, score)
    return float(np.max(np.abs(rate - false_rate)))


def evaluate(label: np.ndarray, probability: np.ndarray) -> dict[str, np.ndarray | float]:
    """AUC, KS and the ROC curve of held-out predictions, computed at the label's owner.

    Args:
        label: (n,) of 0 and 1.
        probability: (n,) or (n, 2); the last column is P(y = 1).
    """
    score = np.asarray(probability, dtype=np.float64).reshape(len(np.asarray(label)), -1)[:, -1]
    false_rate, rate, _ = roc_curve(label, score)
    return {"auc": auc(label, score), "ks": ks(label, score), "false_rate": false_rate, "rate": rate}
