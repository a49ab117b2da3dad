"""How good a model is, from labels of one party and predictions that nobody sees."""

from __future__ import annotations

from ..api.calls import device as at
from ..api.handles import Handle
from ..api.places import MpcDevice
from ..errors import InputError
from ..frame.vertical import Frame
from ..preprocessing import target
from . import metrics


def evaluate(y: Handle | Frame, probability: Handle) -> Handle:
    """Metrics of predictions, computed on the device that they are on; secret until they are revealed.

        scores = evaluate(test["y"], model.predict_proba(test.drop("y")))
        argot.reveal(scores, to=bob).value()["auc"]

    Args:
        y: 0 or 1 for each row, or booleans: a column, or a frame of one column. Their owner checks it.
        probability: (rows,) or (rows, 2), secret; the last column is P(y = 1).

    Returns:
        A tree of secrets: auc, ks, accuracy, log_loss, all (); rate (41,), the ROC curve at `metrics.FALSE_RATES`.

    Raises:
        InputError: `probability` is not on a device, or of another number of rows; at the labels' owner labels other
            than 0 and 1, or of one class.
    """
    if not isinstance(probability.place, MpcDevice):
        raise InputError(
            f"probabilities at {probability.place.name}",
            wanted="secrets of a device",
            todo="argot.stats.ranking has metrics for a party that has labels and probabilities in the clear",
        )
    label = target.column(y)
    if label.shape[:1] != probability.shape[:1]:
        raise InputError(
            f"labels of shape {label.shape} for probabilities of shape {probability.shape}",
            wanted="one label for each row",
        )
    checked = target.checked(label, y.splits() if isinstance(y, Frame) else [])
    return at(probability.place)(metrics.evaluate)(checked, probability)
