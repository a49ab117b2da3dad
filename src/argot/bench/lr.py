"""`argot bench lr`: one epoch of logistic regression on synthetic rows."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np

from ..api.calls import device as at
from ..api.federation import Federation
from ..api.local import local
from ..api.public import public
from ..errors import InputError
from ..linear import schedule
from ..stats import ranking
from .measure import figures, median, names, set_up


def bench(
    rows: int, cols: int, batch: int, reps: int = 5, protocol: str = "aby3", agents: Federation | None = None
) -> dict[str, Any]:
    """One epoch over secret rows; half of the columns are alice's, half bob's, and bob has the label.

    Args:
        agents: as for `mpc.bench`.

    Returns:
        op, rows, cols, batch, those of `measure.figures` (inputs are shared before), auc on the rows.
    """
    if min(rows, cols, batch) < 2:
        raise InputError(f"{rows} rows, {cols} columns, batch {batch}", wanted="at least 2 of each")
    with local(*names(protocol)) if agents is None else nullcontext(agents) as federation:
        alice, bob = federation.parties[:2]
        device = federation.seat(protocol)
        made = set_up(device)
        left, right = at(alice)(columns)(rows, cols, 0), at(bob)(columns)(rows, cols, 1)
        label = at(bob)(labels)(rows, cols)
        x, y = at(device)(schedule.design)([left, right], label, batch).wait()
        start = public(np.zeros(cols + 1))
        epoch = at(device)(schedule.epoch)
        settings = {"rows": rows, "learning_rate": 0.5, "alpha": 1 / rows}
        measured, weights = median(lambda: epoch(start, x, y, **settings), reps)
        w = np.asarray(federation.reveal(weights, to=alice).value())
    z = np.hstack([columns(rows, cols, 0), columns(rows, cols, 1)]) @ w[1:] + w[0]
    return {
        "op": "lr",
        "rows": rows,
        "cols": cols,
        "batch": batch,
        **figures(measured, made),
        "auc": ranking.auc(labels(rows, cols), z),
    }


def columns(rows: int, cols: int, half: int) -> np.ndarray:
    """One owner's columns: standard normal."""
    width = cols // 2 if half == 0 else cols - cols // 2
    return np.random.default_rng([3, half]).normal(size=(rows, width))


def labels(rows: int, cols: int) -> np.ndarray:
    """Labels of a logistic model of all columns."""
    rng = np.random.default_rng(5)
    x = np.hstack([columns(rows, cols, 0), columns(rows, cols, 1)])
    w = rng.normal(size=cols) / np.sqrt(cols) * 3
    return (rng.random(rows) < 1 / (1 + np.exp(-x @ w))).astype(np.float64)
