"""`argot bench cancer`: logistic regression on the Wisconsin breast cancer data."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np

from ..api.calls import device as at
from ..api.federation import Federation
from ..api.local import local
from ..api.public import public
from ..linear import schedule
from ..stats import ranking
from .measure import figures, median, names, set_up

ROWS, COLUMNS = 569, 30
RATE = 0.1
C = 1.0


def bench(
    epochs: int, batch: int, reps: int = 5, protocol: str = "aby3", agents: Federation | None = None
) -> dict[str, Any]:
    """Some epochs over secret rows in one program; half of the columns are alice's, half bob's, who has the label.

    Args:
        agents: as for `mpc.bench`.

    Returns:
        op, epochs, batch, those of `measure.figures` (inputs are shared before), auc on the rows, max_abs_error of the
        weights beside the same schedule in float64.
    """
    with local(*names(protocol)) if agents is None else nullcontext(agents) as federation:
        alice, bob = federation.parties[:2]
        device = federation.seat(protocol)
        made = set_up(device)
        parts, label = [at(alice)(columns)(0), at(bob)(columns)(1)], at(bob)(labels)()
        x, y = at(device)(schedule.design)(parts, label, batch).wait()
        train, start = at(device)(training), public(np.zeros(COLUMNS + 1))
        measured, weights = median(lambda: train(start, x, y, epochs), reps)
        w = np.asarray(federation.reveal(weights, to=alice).value())
    features = [columns(0), columns(1)]
    return {
        "op": "cancer",
        "epochs": epochs,
        "batch": batch,
        **figures(measured, made),
        "auc": ranking.auc(labels(), np.hstack(features) @ w[1:] + w[0]),
        "max_abs_error": float(np.abs(w - _plain(features, batch, epochs)).max()),
    }


def training(w: Any, x: Any, y: Any, epochs: int) -> Any:
    """The weights after so many passes."""
    import jax

    def once(w: Any, _: None) -> tuple[Any, None]:
        return schedule.epoch(w, x, y, rows=ROWS, learning_rate=RATE, alpha=1 / (C * ROWS)), None

    return jax.lax.scan(once, w, None, length=epochs)[0]


def _plain(features: list[np.ndarray], batch: int, epochs: int) -> np.ndarray:
    import jax

    with jax.enable_x64(True):
        x, y = schedule.design([jax.numpy.asarray(part) for part in features], jax.numpy.asarray(labels()), batch)
        return np.asarray(training(jax.numpy.zeros(COLUMNS + 1), x, y, epochs))


def columns(half: int) -> np.ndarray:
    """(569, 15): one owner's columns, standardised."""
    from sklearn.datasets import load_breast_cancer

    x = load_breast_cancer().data[:, half * COLUMNS // 2 : (half + 1) * COLUMNS // 2]
    return np.asarray((x - x.mean(0)) / x.std(0))


def labels() -> np.ndarray:
    """(569,): 1 for benign, as scikit-learn has it."""
    from sklearn.datasets import load_breast_cancer

    return np.asarray(load_breast_cancer().target, dtype=np.float64)
