"""One HTML file that shows a run: figures, ROC curve, what each step cost, who learned what.

Self-contained: no script, no font, no address outside the file, so that it can be mailed and archived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from .job import Step

SIZE = 360
STYLE = Path(__file__).with_suffix(".css")


@dataclass(frozen=True)
class Curve:
    """One ROC curve: rates in [0, 1], (m,) each."""

    name: str
    false_rate: np.ndarray
    rate: np.ndarray


@dataclass(frozen=True)
class Page:
    """All that the page shows.

    Attributes:
        title: heading.
        note: who is trusted; stands first.
        figures: name and printed value, in order.
        curves: the first is drawn as the main one.
        steps: costs in order of execution.
        disclosed: one sentence for each thing that somebody learned.
        peaks: peak memory in MB by agent.
        check: the lines of the step that is not part of the protocol.
        report: all of `fed.report()` as text.
    """

    title: str
    note: str
    figures: Sequence[tuple[str, str]]
    curves: Sequence[Curve]
    steps: Sequence[Step]
    disclosed: Sequence[str]
    peaks: Sequence[tuple[str, float]]
    check: Sequence[str]
    report: str


def render(page: Page) -> str:
    """The page as HTML."""
    figures = "".join(
        f'<div class="figure"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for name, value in page.figures
    )
    disclosed = "".join(f"<li>{escape(line)}</li>" for line in page.disclosed)
    peaks = ", ".join(f"{escape(name)} {mb:.0f} MB" for name, mb in page.peaks)
    check = "".join(f"<li>{escape(line)}</li>" for line in page.check)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(page.title)}</title><style>{STYLE.read_text()}</style></head><body><main>
<h1>{escape(page.title)}</h1>
<p class="note">{escape(page.note)}</p>
<section class="figures">{figures}</section>
<section><h2>ROC curve on held-out rows</h2>{roc(page.curves)}</section>
<section><h2>What it cost</h2>{costs(page.steps)}<p>Peak memory: {peaks}.</p></section>
<section><h2>Who learned what</h2><p>Computed from the executed graph, and the same in the agents' own logs.</p>
<ol>{disclosed}</ol></section>
<section><h2>Check only: reads both files, not part of the protocol</h2><ul>{check}</ul></section>
<section><details><summary>The whole report: every node, every shape that the driver saw</summary>
<pre>{escape(page.report)}</pre></details></section>
</main></body></html>
"""


def roc(curves: Sequence[Curve]) -> str:
    """The curves as SVG, false positive rate to the right, true positive rate upwards."""
    lines = []
    for i, curve in enumerate(curves):
        points = " ".join(
            f"{x * SIZE:.1f},{(1 - y) * SIZE:.1f}" for x, y in zip(curve.false_rate, curve.rate, strict=True)
        )
        lines.append(f'<polyline class="curve c{i}" points="{points}"/>')
        y = SIZE - 34 + 18 * i
        lines.append(f'<line class="curve c{i}" x1="{SIZE - 170}" x2="{SIZE - 146}" y1="{y}" y2="{y}"/>')
        lines.append(f'<text x="{SIZE - 140}" y="{y + 4}">{escape(curve.name)}</text>')
    ticks = "".join(
        f'<text class="tick" x="{v * SIZE:.0f}" y="{SIZE + 16}" text-anchor="middle">{v:g}</text>'
        f'<text class="tick" x="-8" y="{(1 - v) * SIZE + 4:.0f}" text-anchor="end">{v:g}</text>'
        f'<line class="grid" x1="{v * SIZE:.0f}" x2="{v * SIZE:.0f}" y1="0" y2="{SIZE}"/>'
        f'<line class="grid" y1="{v * SIZE:.0f}" y2="{v * SIZE:.0f}" x1="0" x2="{SIZE}"/>'
        for v in (0, 0.25, 0.5, 0.75, 1)
    )
    return (
        f'<svg role="img" aria-label="ROC curve" viewBox="-44 -10 {SIZE + 60} {SIZE + 54}">{ticks}'
        f'<line class="chance" x1="0" y1="{SIZE}" x2="{SIZE}" y2="0"/>{"".join(lines)}'
        f'<text x="{SIZE / 2}" y="{SIZE + 36}" text-anchor="middle">false positive rate</text>'
        f'<text transform="translate(-34 {SIZE / 2}) rotate(-90)" text-anchor="middle">true positive rate</text></svg>'
    )


def costs(steps: Sequence[Step]) -> str:
    """A table of steps with a bar for each step's share of the time."""
    longest = max((s.seconds for s in steps), default=0) or 1
    rows = "".join(
        f"<tr><td>{escape(s.name)}</td><td class='bar'><i style='width:{100 * s.seconds / longest:.1f}%'></i></td>"
        f"<td>{s.seconds:.2f} s</td><td>{s.rounds or '-'}</td><td>{size(s.bytes) if s.bytes else '-'}</td></tr>"
        for s in steps
    )
    total = (
        f"<tr class='total'><td>total</td><td></td><td>{sum(s.seconds for s in steps):.2f} s</td>"
        f"<td>{sum(s.rounds for s in steps)}</td><td>{size(sum(s.bytes for s in steps))}</td></tr>"
    )
    head = "<tr><th>step</th><th></th><th>seconds</th><th>rounds</th><th>bytes, all parties</th></tr>"
    return f"<table>{head}{rows}{total}</table>"


def size(count: float) -> str:
    """Bytes for people: 1.2 MB."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
