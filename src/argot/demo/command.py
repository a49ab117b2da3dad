"""`argot demo`: the main job on this machine, with progress, the report, an HTML page and figures as JSON."""

from __future__ import annotations

import json
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..api.local import local
from ..api.protocols import seated
from ..api.report import text_table
from ..errors import InputError
from ..stats import metrics
from . import job, page
from .tables import Case, breast_cancer, credit


class Screen(job.Watch):
    """Shows steps as they run: a bar for what can be counted, one line for what is done."""

    def __init__(self, console: Console, quiet: bool) -> None:
        self.console, self.quiet = console, quiet
        self.bar: Progress | None = None
        self.task: Any = None
        self.name = ""

    def step(self, name: str) -> None:
        self.name = name

    def progress(self, done: int, total: int) -> None:
        if self.quiet:
            return
        if self.bar is None:
            columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.bar.start()
            self.task = self.bar.add_task(self.name, total=total)
        self.bar.update(self.task, completed=done, total=total)

    def done(self, step: job.Step, note: str) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
        if not self.quiet:
            self.console.print(line_of(step, note), highlight=False, soft_wrap=True)


def line_of(step: job.Step, note: str) -> str:
    """One step: seconds, and rounds and bytes where it sent any."""
    cost = f"{step.rounds:>7,} rounds {page.size(step.bytes):>9}" if step.bytes else " " * 24
    return f"  [bold]{step.name:<32}[/] {step.seconds:6.2f} s {cost}  {note}"


def demo(
    rows: int | None = None,
    epochs: int = 20,
    batch_size: int = 64,
    protocol: str = "aby3",
    json_file: Path | None = None,
    html_file: Path | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Run the job with as many agents on this machine as the protocol needs; returns the figures that `--json` writes.

    Args:
        rows: None for the breast cancer files that ship, else the size of a synthetic credit case.
        epochs, batch_size: of the training.
        protocol: of the ciphertext device.
        json_file: where to write the figures.
        html_file: where to write the page; `argot-demo.html` in the current folder by default.
        quiet: print nothing.
    """
    console = Console(quiet=quiet)
    begin = time.perf_counter()
    target = html_file or Path("argot-demo.html")
    for file in (target, json_file):
        if file is not None and not file.resolve().parent.is_dir():
            raise InputError(f"no folder {file.resolve().parent}", wanted="a folder that exists", todo="make it first")
    with tempfile.TemporaryDirectory(prefix="argot-demo-") as folder:
        case = breast_cancer() if rows is None else credit(rows, Path(folder))
        console.print(f"\n[bold]{case.title}[/]")
        names = seated(protocol, ("alice", "bob", "carol"))
        helps = "carol helps, without data" if len(names) > 2 else "there is nobody else"
        console.print(
            f"  alice has {case.alice.name}, bob has {case.bob.name} with the label; {helps}\n", soft_wrap=True
        )
        start = time.perf_counter()
        with local(*names) as federation:
            bob = federation["bob"]
            device = federation.seat(protocol)
            ready = job.Step(f"start {len(names)} agents", time.perf_counter() - start)
            screen = Screen(console, quiet)
            screen.done(ready, "one process a party, TLS between them")
            tables = (str(case.alice), str(case.bob))
            out = job.run(federation, device, federation.parties, case, screen, tables, epochs, batch_size)
            seconds, nodes = time.perf_counter() - begin, len(federation.graph)
            screen.step("check only")
            found = job.check(federation, out, case, reveal_to=bob)
            report = federation.report()
    figures = _figures(out, found, report, seconds, nodes)
    target.write_text(page.render(_page(case, out, found, figures, report, ready)), encoding="utf-8")
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    _print(console, figures, report)
    files = ", ".join(str(file) for file in (target, json_file) if file)
    console.print(
        f"\nwritten: {files} (with the cost of every node, and every shape that the driver saw)", soft_wrap=True
    )
    return figures


def _figures(out: job.Outcome, found: job.Check, report: Any, seconds: float, nodes: int) -> dict[str, Any]:
    """The figures; costs are those of the job, its first `nodes`, without what the check has revealed."""
    rounds, bytes_total = report.cost_of(range(nodes))
    return {
        "auc": float(out.scores["auc"]),
        "auc_plain": found.auc,
        "ks": float(out.scores["ks"]),
        "ks_plain": found.ks,
        "intersection": out.intersection,
        "coef_max_diff": found.coef_max_diff,
        "seconds": seconds,
        "bytes_total": bytes_total,
        "rounds": rounds,
        "disclosed": report.disclosed,
    }


def _print(console: Console, figures: dict[str, Any], report: Any) -> None:
    console.print(f"\n{report.note}", highlight=False)
    for title, lines in report.sections():
        if not title.startswith("Shapes"):  # one line a call: on the page
            console.print(f"\n[bold]{title}[/]", highlight=False)
            for line in lines:
                text = textwrap.fill(line, min(console.width, 120) - 1, initial_indent="  ", subsequent_indent="      ")
                console.print(text, markup=False, highlight=False)
    console.print()
    for table in report.tables()[1:]:  # costs by node: on the page as well
        console.print(text_table(*table), markup=False, highlight=False, soft_wrap=True)
    scores = f"[bold]AUC {figures['auc']:.4f}[/]   KS {figures['ks']:.4f}"
    console.print(f"\n{scores}   of held-out rows, computed on shares")
    console.print("\ncheck only: reads both files, not part of the protocol", style="dim")
    console.print(
        f"  scikit-learn in the clear: AUC {figures['auc_plain']:.4f}, KS {figures['ks_plain']:.4f}; difference in AUC "
        f"{abs(figures['auc'] - figures['auc_plain']):.4f}\n  same schedule in float64: largest difference of a "
        f"coefficient {figures['coef_max_diff']:.1e}",
        highlight=False,
    )


def _page(
    case: Case, out: job.Outcome, found: job.Check, figures: dict[str, Any], report: Any, ready: job.Step
) -> page.Page:
    return page.Page(
        title=case.title,
        note=report.note,
        figures=[
            ("AUC, held-out", f"{figures['auc']:.4f}"),
            ("KS, held-out", f"{figures['ks']:.4f}"),
            ("rows in both tables", f"{out.intersection:,}"),
            ("seconds in all", f"{figures['seconds']:.1f}"),
            ("sent by all parties", page.size(figures["bytes_total"])),
            ("rounds", f"{figures['rounds']:,}"),
        ],
        curves=[
            page.Curve("Argot, on shares", metrics.FALSE_RATES, out.scores["rate"]),
            page.Curve("scikit-learn, clear", found.false_rate, found.rate),
        ],
        steps=[ready, *out.steps],
        disclosed=report.disclosed,
        peaks=list(report.peak_memory.items()),
        check=[
            f"AUC of scikit-learn in the clear: {found.auc:.4f}, ours {figures['auc']:.4f}.",
            f"Largest difference of a coefficient to the same schedule in float64 JAX: {found.coef_max_diff:.1e}.",
        ],
        report=str(report),
    )
