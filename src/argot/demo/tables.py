"""The two tables of the demonstration.

`python -m argot.demo.tables` writes the CSV files that ship with the project from the Wisconsin breast cancer
data in scikit-learn; a test checks that the files are what it writes. `credit` makes a case of any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "data"
IDS = "patient"


@dataclass(frozen=True)
class Case:
    """Two CSV files and what their columns are.

    Attributes:
        alice, bob: the files; both have the column `key`.
        key: name of the id column.
        alice_columns, bob_columns: names of the features in each file.
        label: name of the label column, which bob has.
        title: one line for people.
    """

    alice: Path
    bob: Path
    key: str
    alice_columns: list[str]
    bob_columns: list[str]
    label: str
    title: str


def breast_cancer() -> Case:
    """The case that ships: 569 patients, a clinic (alice) and a laboratory with the diagnosis (bob)."""
    alice, bob = FOLDER / "clinic.csv", FOLDER / "laboratory.csv"
    return Case(
        alice=alice,
        bob=bob,
        key=IDS,
        alice_columns=header(alice)[1:],
        bob_columns=header(bob)[1:-1],
        label="malignant",
        title="Wisconsin breast cancer: a clinic and a laboratory",
    )


def credit(rows: int, folder: Path, columns: int = 20, seed: int = 1) -> Case:
    """A credit-like case of `rows` customers, written to `folder`: a bank (alice) and a lender (bob).

    Features are skewed and correlated, as amounts and counts are; the label follows a logistic model with an
    event rate of about 20 %. Five percent of the rows are in the one file only, five in the other only.
    """
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(rows, 4))
    features = factors @ rng.normal(size=(4, columns)) * 0.5 + rng.normal(size=(rows, columns))
    weights = rng.normal(size=columns) / np.sqrt(columns)
    score = features @ weights - 1.6
    label = (rng.uniform(size=rows) < 1 / (1 + np.exp(-score))).astype(int)
    amounts = np.round(np.exp(features * 0.4) * 1000, 2)
    half = columns // 2
    ids = np.array([f"C{i:09d}" for i in rng.permutation(rows)])
    names = [f"feature_{i:02d}" for i in range(columns)]
    alice, bob = folder / "bank.csv", folder / "lender.csv"
    only = max(1, rows // 20)
    in_alice = rng.permutation(np.arange(only, rows))
    in_bob = rng.permutation(np.arange(0, rows - only))
    write(alice, [IDS, *names[:half]], ids[in_alice], amounts[in_alice, :half])
    write(bob, [IDS, *names[half:], "default"], ids[in_bob], amounts[in_bob, half:], label[in_bob])
    return Case(alice, bob, IDS, names[:half], names[half:], "default", f"synthetic credit, {rows:,} customers")


def make_breast_cancer(folder: Path) -> None:
    """Write the two files of `breast_cancer`: each in its own order, 28 patients only at the clinic, 29 only at
    the laboratory, ids as strings."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    names = [str(name).replace(" ", "_") for name in data.feature_names]
    rng = np.random.default_rng(20261122)
    ids = np.array([f"P{n:05d}" for n in rng.choice(100_000, size=len(data.target), replace=False)])
    order = rng.permutation(len(ids))
    clinic, laboratory = rng.permutation(order[29:]), rng.permutation(order[: len(ids) - 28])
    at_clinic = [i for i, name in enumerate(names) if name.startswith("mean")] + list(range(10, 15))
    at_laboratory = [i for i in range(len(names)) if i not in at_clinic]
    malignant = 1 - data.target
    write(folder / "clinic.csv", [IDS, *(names[i] for i in at_clinic)], ids[clinic], data.data[clinic][:, at_clinic])
    write(
        folder / "laboratory.csv",
        [IDS, *(names[i] for i in at_laboratory), "malignant"],
        ids[laboratory],
        data.data[laboratory][:, at_laboratory],
        malignant[laboratory],
    )


def write(path: Path, names: list[str], ids: np.ndarray, features: np.ndarray, label: np.ndarray | None = None) -> None:
    """One CSV file: ids, features, and the label as last column where there is one."""
    with path.open("w", newline="\n") as file:
        file.write(",".join(names) + "\n")
        for row, (key, values) in enumerate(zip(ids, features, strict=True)):
            cells = [str(key), *(format(v, ".10g") for v in values)]
            if label is not None:
                cells.append(str(label[row]))
            file.write(",".join(cells) + "\n")


def header(path: Path) -> list[str]:
    """The column names of a CSV file."""
    with path.open() as file:
        return file.readline().rstrip("\n").split(",")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    make_breast_cancer(FOLDER)
