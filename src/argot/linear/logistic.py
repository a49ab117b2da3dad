"""Logistic regression on rows whose columns lie with several parties, trained on a ciphertext device."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..api.calls import device as at
from ..api.handles import Handle
from ..api.places import MpcDevice, Party
from ..api.public import public
from ..errors import InputError, ProgramError
from ..frame.owner import Split
from ..frame.vertical import Frame
from ..preprocessing import scaler, target
from . import schedule

Progress = Callable[[int, int], None]


class LogisticRegression:
    """Binary logistic regression with an L2 penalty, by mini-batch gradient descent on shares.

    Every owner standardises its own columns; rows, labels and weights are secret from then on. Parameters that
    scikit-learn has are named as there.

    Args:
        device: the ciphertext device; all owners of columns and labels must be parties of it.
        C: inverse strength of the penalty.
        max_iter: passes over the rows.
        learning_rate: length of a step.
        batch_size: rows of a step.

    Raises:
        InputError: a parameter of another type, or out of its range.

    Attributes:
        coef_, intercept_: handles of secrets, (features,) and (); `argot.reveal(model.coef_, to=alice)`. They belong to
            standardised columns.
        feature_names_in_, n_features_in_: as in scikit-learn, in the order of `coef_`.
        n_iter_: passes done.

    Accuracy: weights after the same schedule in float64 differ by less than 1e-2, by the error of the sigmoid (5e-5)
    and of fixed point. Bounds: standardised values are clipped at ±16, so x w stays in range while the sum of
    |weights| is below 2^21.
    """

    def __init__(
        self,
        *,
        device: MpcDevice,
        C: float = 1.0,
        max_iter: int = 10,
        learning_rate: float = 0.5,
        batch_size: int = 64,
    ) -> None:
        self.device = device
        self.C, self.max_iter, self.learning_rate, self.batch_size = C, max_iter, learning_rate, batch_size
        self._check()

    def fit(self, frame: Frame, y: Handle | Frame, progress: Progress | None = None) -> LogisticRegression:
        """Train on the rows of `frame`.

        Args:
            frame: numeric columns of one or more parties of the device.
            y: 0 or 1 for each row, or booleans: a column, or a frame of one column. Their owner checks it; labels that
                are secret already are taken as they are.
            progress: called with (passes done, passes in all).

        Raises:
            InputError: another number of labels than rows, no rows, or a parameter out of its range; at their owner
                cells that are not finite, labels other than 0 and 1, or of one class. Where, only the owner learns:
                the column's name, and row numbers of the frame before it was split.
        """
        self._check()
        if not isinstance(frame, Frame):
            raise InputError(f"a {type(frame).__name__}", wanted="a frame of argot.frame")
        label = target.column(y)
        matrices = frame.matrices()
        rows = next(iter(matrices.values())).shape[0]
        self._check_rows(rows, label)
        self.feature_names_in_ = np.array([name for table in frame.parts.values() for name in table.columns])
        self.n_features_in_ = len(self.feature_names_in_)
        self._columns = {party.name: list(table.columns) for party, table in frame.parts.items()}
        splits = frame.splits()
        label = target.checked(label, y.splits() if isinstance(y, Frame) else splits)
        self._scalers = {
            party: at(party)(scaler.fit)(x, self._columns[party.name], splits) for party, x in matrices.items()
        }
        scaled = self._scaled(matrices, splits)
        x, labels = at(self.device)(schedule.design)(scaled, label, min(self.batch_size, rows))
        self.n_iter_ = 0
        settings = {"rows": rows, "learning_rate": self.learning_rate, "alpha": 1.0 / (self.C * rows)}
        weights: Any = public(np.zeros(self.n_features_in_ + 1))
        for done in range(1, self.max_iter + 1):
            weights = at(self.device)(schedule.epoch)(weights, x, labels, **settings)
            if progress is not None:
                weights.wait()
                progress(done, self.max_iter)
            self.n_iter_ = done
        self._weights: Handle = weights
        return self

    @property
    def coef_(self) -> Handle:
        """The weights of the standardised columns, (features,), secret."""
        return at(self.device)(schedule.coefficients)(self._fitted())

    @property
    def intercept_(self) -> Handle:
        """The weight of the constant, (), secret."""
        return at(self.device)(schedule.intercept)(self._fitted())

    def predict_proba(self, frame: Frame) -> Handle:
        """P(y = 0) and P(y = 1) for new rows, (rows, 2), secret.

        Raises:
            InputError: the frame's columns are not those the model was fitted on.
        """
        weights = self._fitted()
        given = {party.name: list(table.columns) for party, table in frame.parts.items()}
        if given != self._columns:
            raise InputError(
                f"columns {given}", wanted=f"{self._columns}, as fitted", todo="choose them with frame[[...]]"
            )
        return at(self.device)(schedule.probability)(weights, self._scaled(frame.matrices(), frame.splits()))

    def save(self, name: str) -> None:
        """Keep the model at its parties: each its share of the weights and its own scaler, encrypted with its key."""
        weights, federation = self._fitted(), self.device.federation
        federation.save(weights, name)
        for party, fitted in self._scalers.items():
            federation.save(at(party)(scaler.pack)(fitted, self._columns[party.name]), name)

    @classmethod
    def load(cls, device: MpcDevice, name: str, owners: Sequence[Party], **parameters: Any) -> LogisticRegression:
        """The model that `save` kept under this name, on a device of the same parties.

        Args:
            owners: the parties whose columns it was fitted on, in the same order.
            parameters: those of the constructor, to fit again; they do not matter for predictions.
        """
        model = cls(device=device, **parameters)
        model._weights = device.load(name)
        packed = {party: party.load(name) for party in owners}
        model._scalers = {party: handle["scaler"] for party, handle in packed.items()}
        model._columns = {party.name: list(handle["columns"].columns) for party, handle in packed.items()}
        model.feature_names_in_ = np.array([name for names in model._columns.values() for name in names])
        model.n_features_in_ = len(model.feature_names_in_)
        return model

    def _scaled(self, matrices: dict[Party, Handle], splits: list[Split]) -> list[Handle]:
        return [
            at(party)(scaler.transform)(x, self._scalers[party], self._columns[party.name], splits)
            for party, x in matrices.items()
        ]

    def _fitted(self) -> Handle:
        if not hasattr(self, "_weights"):
            raise ProgramError("this model has no weights yet", todo="call fit, or LogisticRegression.load")
        return self._weights

    def _check(self) -> None:
        if not isinstance(self.device, MpcDevice):
            raise InputError(f"device={self.device!r}", wanted="a ciphertext device", todo="fed.mpc(alice, bob, carol)")
        for name in ("max_iter", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise InputError(f"{name}={value!r}", wanted="a whole number from 1")
        for name in ("C", "learning_rate"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < math.inf:
                raise InputError(f"{name}={value!r}", wanted="a positive number")

    def _check_rows(self, rows: int, label: Handle) -> None:
        if label.shape != (rows,):
            raise InputError(f"labels of shape {label.shape} for {rows} rows", wanted=f"shape ({rows},)")
        if rows == 0:
            raise InputError("a frame of no rows", wanted="rows to train on")

    def __repr__(self) -> str:
        names = ("C", "max_iter", "learning_rate", "batch_size")
        parts = ", ".join(f"{name}={getattr(self, name):g}" for name in names)
        fitted = f"; fitted on {self.n_features_in_} features" if hasattr(self, "_weights") else ""
        return f"LogisticRegression(device={self.device.name}, {parts}{fitted})"
