"""The main job: join, split, train, predict, evaluate; every step timed and metered.

`run` is ordinary use of the library and works on any federation; `check` is the one part that looks at both
tables, and is no part of the protocol.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..api.federation import Federation
from ..api.handles import Handle
from ..api.places import MpcDevice, Party
from ..api.report import spent
from ..frame import Frame, join, read
from ..linear import LogisticRegression, schedule
from ..preprocessing import scaler
from ..stats import metrics, ranking
from ..stats.evaluation import evaluate
from .tables import Case

TEST_SIZE = 0.3
SEED = 7
# The join hands rows over in a fresh secret order, so every run trains on another split. Over 1,500 random splits 20
# epochs at this C end within 0.003 of the AUC at the optimum; at C = 1, where the optimum is far out, one in twenty
# is 0.005 off after 10.
C = 0.1


@dataclass(frozen=True)
class Step:
    """One step of the job: its wall time; rounds, and bytes of all parties, of the graph's nodes that it added."""

    name: str
    seconds: float
    rounds: int = 0
    bytes: int = 0


@dataclass
class Outcome:
    """What came out of `run`.

    Attributes:
        steps: in order.
        intersection: rows in both tables.
        scores: of the held-out rows, as `metrics.evaluate` has them: computed on shares, revealed to the label's owner.
        model: the fitted model; its weights are still secret.
        train, test: the joined frames.
    """

    steps: list[Step] = field(default_factory=list)
    intersection: int = 0
    scores: dict[str, Any] = field(default_factory=dict)
    model: LogisticRegression | None = None
    train: Frame | None = None
    test: Frame | None = None


class Watch:
    """Tells somebody what goes on; this one tells nobody."""

    def step(self, name: str) -> None:
        """A step begins."""

    def progress(self, done: int, total: int) -> None:
        """Part of the current step is done."""

    def done(self, step: Step, note: str) -> None:
        """A step has ended."""


def run(
    federation: Federation,
    device: MpcDevice,
    parties: Sequence[Party],
    case: Case,
    watch: Watch,
    tables: tuple[str, str],
    epochs: int,
    batch_size: int,
) -> Outcome:
    """The job on two tables.

    Args:
        parties: the owner of the first table, the owner of the second and the label, and a helper if there is one.
        tables: the tables' names, or paths, as their agents see them.
    """
    alice, bob, *others = parties
    out = Outcome()

    @contextmanager
    def step(name: str) -> Iterator[Callable[[str], None]]:
        watch.step(name)
        start, first, notes = time.perf_counter(), len(federation.graph), [""]
        yield notes.append
        rounds, count = spent(federation.graph.records[first:])
        out.steps.append(Step(name, time.perf_counter() - start, rounds, count))
        watch.done(out.steps[-1], notes[-1])

    with step("read the tables") as note:
        left = read(alice, tables[0], [case.key, *case.alice_columns], text=[case.key])
        right = read(bob, tables[1], [case.key, *case.bob_columns, case.label], text=[case.key])
        note(f"{left.shape[0]:,} rows at {alice.name}, {right.shape[0]:,} at {bob.name}")
    with step("join by private set intersection") as note:
        joined = join(left, right, on=case.key, helper=others[0] if others else None, progress=watch.progress)
        out.intersection = joined.shape[0]
        note(f"{out.intersection:,} rows in both")
    with step("split") as note:
        out.train, out.test = joined.split(TEST_SIZE, random_state=SEED)
        note(f"{out.train.shape[0]:,} rows to train, {out.test.shape[0]:,} to test, public seed {SEED}")
    with step(f"train {epochs} epochs") as note:
        out.model = LogisticRegression(device=device, C=C, max_iter=epochs, batch_size=batch_size)
        out.model.fit(out.train.drop(case.label), out.train[case.label], progress=watch.progress)
        note("weights stay secret")
    with step("predict") as note:
        probability = out.model.predict_proba(out.test.drop(case.label))
        note(f"{out.test.shape[0]:,} held-out predictions, which nobody sees")
    with step("evaluate on shares") as note:
        out.scores = federation.reveal(evaluate(out.test[[case.label]], probability), to=bob).value()
        note(f"{bob.name} learns AUC, KS, accuracy, log loss and {len(metrics.FALSE_RATES)} points of the ROC curve")
    return out


@dataclass(frozen=True)
class Check:
    """The same job in the clear.

    Attributes:
        auc, ks, false_rate, rate: of scikit-learn on the same split.
        coef_max_diff: largest difference between the revealed weights and those of the same schedule in float64 JAX.
    """

    auc: float
    ks: float
    false_rate: np.ndarray
    rate: np.ndarray
    coef_max_diff: float


def check(federation: Federation, out: Outcome, case: Case, reveal_to: Party) -> Check:
    """Check only: reads both tables, which only a driver that acts for both owners can; not part of the protocol."""
    import jax
    from sklearn.linear_model import LogisticRegression as Plain

    assert out.model is not None and out.train is not None and out.test is not None
    model = out.model
    parts, label = _clear(out.train, case)
    test_parts, test_label = _clear(out.test, case)
    fitted = [_scaled(part, part) for part in parts]
    tested = [_scaled(new, part) for new, part in zip(test_parts, parts, strict=True)]
    plain = Plain(C=model.C, max_iter=1000).fit(np.hstack(fitted), label)
    scores = ranking.evaluate(test_label, plain.predict_proba(np.hstack(tested)))
    with jax.enable_x64(True):
        x, y = schedule.design(
            [jax.numpy.asarray(p) for p in fitted], jax.numpy.asarray(label), min(model.batch_size, len(label))
        )
        w = jax.numpy.zeros(x.shape[2])
        step = jax.jit(
            lambda w: schedule.epoch(
                w, x, y, rows=len(label), learning_rate=model.learning_rate, alpha=1 / (model.C * len(label))
            )
        )
        for _ in range(model.n_iter_):
            w = step(w)
    coef = np.asarray(federation.reveal(model.coef_, to=reveal_to).value())
    intercept = float(federation.reveal(model.intercept_, to=reveal_to).value())
    difference = np.abs(np.append(coef, intercept) - np.append(np.asarray(w[1:]), float(w[0]))).max()
    return Check(
        float(scores["auc"]), float(scores["ks"]), np.asarray(scores["false_rate"]), np.asarray(scores["rate"]),
        float(difference),
    )  # fmt: skip


def _clear(frame: Frame, case: Case) -> tuple[list[np.ndarray], np.ndarray]:
    """Each owner's features and the label, fetched by a driver that acts for both."""
    tables: list[dict[str, np.ndarray]] = [_value(table) for table in frame.parts.values()]
    label = next(np.asarray(t[case.label], float) for t in tables if case.label in t)
    features = [np.stack([np.asarray(c, float) for n, c in t.items() if n != case.label], axis=1) for t in tables]
    return features, label


def _value(table: Handle) -> dict[str, np.ndarray]:
    return dict(table.value())


def _scaled(new: np.ndarray, fitted_on: np.ndarray) -> np.ndarray:
    return scaler.transform(new, scaler.fit(fitted_on))
