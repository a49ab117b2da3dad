"""The examples with neural networks in full: what they cost, and their accuracy beside the same loop in the clear.

    python benchmarks/examples.py [--only mlp,transformer] [--out out/examples.json] [--write]

Each row is one run of `examples/digits.py` or `examples/transformer.py` as a process of its own: three agents on this
machine. Seconds, bytes and rounds are those of sharing the rows and training on them, or of reading the pictures and
revealing the scores. `--write` puts the table into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from run import ROOT, last_json, write

MARKS = ("<!-- examples -->", "<!-- end of examples -->")


@dataclass(frozen=True)
class Row:
    """A run of an example: the arguments of its `run`."""

    name: str
    work: str
    script: str
    rows: int
    epochs: int | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def command(self) -> list[str]:
        """A process that runs it and prints what it returns."""
        given = {"rows": self.rows, **({} if self.epochs is None else {"epochs": self.epochs}), **self.more}
        path = str(ROOT / "examples" / self.script)
        run = f"import json, runpy; print(json.dumps(runpy.run_path({path!r})['run'](**{given!r})))"
        return [sys.executable, "-c", run]


ROWS = [
    Row("mlp", "MLP 64-32-10, momentum", "digits.py", 1500, 5, {"model": "mlp"}),
    Row("adam", "MLP 64-32-10, Adam", "digits.py", 1500, 5, {"model": "mlp", "optimize": "adam"}),
    Row("cnn", "CNN of 8 filters 3 x 3, momentum", "digits.py", 1500, 5, {"model": "cnn"}),
    Row("shaped", "MLP 784-32-10, momentum, 28 x 28", "digits.py", 4000, 3, {"model": "mlp", "data": "shaped"}),
    Row("transformer", "transformer, inference", "transformer.py", 397),
]


def table(found: list[dict]) -> str:
    """The measurements as Markdown."""
    lines = [
        "| example | rows | epochs | seconds | bytes | rounds | accuracy on shares | in the clear |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in found:
        lines.append(
            f"| {r['work']} | {r['rows']:,} | {r['epochs'] or '-'} | {r['seconds']:.1f} | {r['bytes'] / 1e6:,.1f} MB "
            f"| {r['rounds']:,} | {r['accuracy']:.3f} | {r['accuracy_plain']:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of rows, separated by commas: " + ", ".join(r.name for r in ROWS))
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "examples.json")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    a = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    wanted = a.only.split(",") if a.only else [r.name for r in ROWS]
    if unknown := set(wanted) - {r.name for r in ROWS}:
        parser.error(f"no rows {', '.join(sorted(unknown))}; there are {', '.join(r.name for r in ROWS)}")
    found = []
    date = time.strftime("%Y-%m-%d")
    a.out.parent.mkdir(exist_ok=True)
    for row in ROWS:
        if row.name in wanted:
            print(f"-- {row.work}", file=sys.stderr, flush=True)
            found.append({"name": row.name, "work": row.work, "rows": row.rows, "epochs": row.epochs})
            found[-1].update(last_json(row.command()))
            a.out.write_text(json.dumps({"date": date, "rows": found}, indent=1))
    print(f"\n{table(found)}\n\nwritten to {a.out}")
    if a.write:
        write(f"\nMeasured {date}.\n\n{table(found)}\n", *MARKS)


if __name__ == "__main__":
    main()
