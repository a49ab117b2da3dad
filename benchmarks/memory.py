"""Peak memory of the agents beside the largest live set of the program.

    python benchmarks/memory.py                         # the table; out/memory.json
    python benchmarks/memory.py --only mul,less --write # some rows; --write puts them into README.md

Agents as in a deployment, three of ABY3 here, fresh for each row. A row's program runs once with small arrays, for what
is imported and cached; what the agents hold when they have given back what they kept for later is the baseline. Then
the inputs are made at alice and bob and joined, what was kept goes back again, the mark that the kernel keeps of each
agent's peak is cleared, the program runs, and the mark is read: the peak is all that is above the baseline, the inputs
included. "Absolute" is the mark itself, interpreter, libraries and all.

The live set of a program at an equation is what its operands, its results and all values needed later take at one party
(`live_set`): two ring words for each shared number, two bits for each shared bit.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from run import ROOT, write

import argot
from argot.api.calls import device as at
from argot.bench import mlp, mpc
from argot.bench.arguments import addend
from argot.bench.measure import names
from argot.linear import schedule
from argot.vm.ir import SECRET, Block, Program, Var
from argot.vm.lower import Spec, trace

OUT = ROOT / "out" / "memory.json"
MARKS = "<!-- memory -->", "<!-- end of memory -->"

RATIO = 4.0
"""Peak above the baseline, over the largest live set."""

ABSOLUTE = 2.0 * 2**30
"""Bytes of an agent, in the rows that are named in `BOUNDED`."""

BOUNDED = ("mul:1e7", "less:1e7")
IDLE = 4.0
"""Seconds after which an agent that had nothing to do has given back what it kept for later."""

PARTS = 2
"""Parts of a share that a party of ABY3 holds; the live set is counted for ABY3."""


# ---- what a program has to keep --------------------------------------------------------------------------------------


def live_set(program: Program, parts: int, word: int = 8) -> int:
    """The bytes that are live at one party at the same time, at most: `parts` arrays of `word` bytes a number, or of
    one bit a boolean, for a shared value; the array itself for one that is known."""
    return _live(program.body, parts, word)


def _live(block: Block, parts: int, word: int) -> int:
    known = block.vars()
    last = {i: n for n, eqn in enumerate(block.equations) for i in eqn.inputs} | dict.fromkeys(block.results, 1 << 60)
    alive = {v.id for v in block.params}
    most = 0
    for step, eqn in enumerate(block.equations):
        outputs = {v.id for v in eqn.outputs}
        held = sum(_bytes(known[i], parts, word) for i in alive | outputs)
        passed = sum(_bytes(known[i], parts, word) for i in set(eqn.inputs))
        inner = max((_live(b, parts, word) for b in eqn.blocks), default=0)
        most = max(most, held + max(inner - passed, 0))
        alive = {i for i in alive | outputs if last.get(i, -1) > step}
    return most


def _bytes(var: Var, parts: int, word: int) -> int:
    if var.visibility != SECRET:
        return var.type.size * var.type.numpy.itemsize
    if var.type.dtype == "order":
        return parts * -(-var.type.size * max(var.type.size - 1, 1).bit_length() // 8)
    return parts * (-(-var.type.size // 8) if var.type.dtype == "bool" else word * var.type.size)


# ---- what is measured ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """A program, and the shapes of its secret inputs; `small` are those of the run that does not count."""

    run: Callable[..., Any]
    shapes: list[tuple[int, ...]]
    small: list[tuple[int, ...]]
    low: float = -4.0
    high: float = 4.0

    def program(self) -> Program:
        return trace(self.run, [Spec(shape) for shape in self.shapes]).program


def chain(x: Any, y: Any) -> Any:
    """Twenty products, one after the other."""
    for _ in range(20):
        x = x * y
    return x


def gated(x: Any, y: Any) -> Any:
    """Four choices by one bit: one party of ABY3 only sends."""
    positive = y > 0
    for _ in range(4):
        x = jnp.where(positive, x, 0.0)
    return x


def lr_epoch(x: Any, y: Any) -> Any:
    """From zero, over batches (batches, 1024, 101)."""
    rows = x.shape[0] * x.shape[1]
    return schedule.epoch(jnp.zeros(x.shape[2]), x, y, rows=rows, learning_rate=0.5, alpha=1 / rows)


def mlp_step(x: Any, y: Any, *params: Any) -> Any:
    """Secret parameters after one step of the network of `argot.bench.mlp`."""
    pairs = list(zip(params[::2], params[1::2], strict=True))
    return jax.tree.map(lambda w, g: w - mlp.RATE * g, pairs, jax.grad(mlp.loss)(pairs, x, y))


def _of_bench(name: str, shapes: list[tuple[int, ...]], low: float = -4.0, high: float = 4.0) -> Work:
    small = [tuple(min(n, 16) for n in shape) for shape in shapes]
    return Work(mpc.operations()[name].run, shapes, small, low, high)


def works() -> dict[str, Work]:
    """All rows by name."""
    found = {}
    for text in ("1e6", "4e6", "1e7"):
        n = int(float(text))
        found |= {
            f"mul:{text}": _of_bench("mul", [(n,)] * 2),
            f"less:{text}": _of_bench("less", [(n,)] * 2),
            f"chain:{text}": Work(chain, [(n,)] * 2, [(16,)] * 2, 0.9, 1.0),
            f"gated:{text}": Work(gated, [(n,)] * 2, [(16,)] * 2),
            f"sigmoid:{text}": _of_bench("sigmoid", [(n,)]),
            f"exp:{text}": _of_bench("exp", [(n,)]),
            f"softmax:{text}": _of_bench("softmax", [(n // 10, 10)]),
        }
    found["sort:1e6"] = _of_bench("sort", [(1_000_000,)])
    found |= {f"matmul:{n}": _of_bench("matmul", [(n, n)] * 2, -0.1, 0.1) for n in (1000, 2000)}
    found["lr:1e5x100"] = Work(lr_epoch, [(98, 1024, 101), (98, 1024)], [(2, 16, 5), (2, 16)], 0.0, 1.0)
    for rows in (1024, 6000):
        weights = [a.shape for pair in mlp.weights() for a in pair]
        shapes, small = [(rows, 784), (rows, 10), *weights], [(16, 784), (16, 10), *weights]
        found[f"mlp:{rows}"] = Work(mlp_step, shapes, small, 0.0, 0.05)
    return dict(sorted(found.items(), key=lambda item: item[0].split(":")[0]))


@dataclass(frozen=True)
class Found:
    """One row, in bytes: of the agent whose peak was the highest."""

    name: str
    live: int
    peak: int
    absolute: int
    seconds: float

    @property
    def ratio(self) -> float:
        return self.peak / self.live

    @property
    def too_large(self) -> bool:
        return self.name in BOUNDED and self.absolute > ABSOLUTE


def measure(name: str, work: Work, protocol: str = "aby3") -> Found:
    """Run it with agents of its own."""
    with argot.local(*names(protocol)) as federation:
        device = federation.seat(protocol)
        run = at(device)(work.run)
        agents = children()
        run(*(_secret(federation, device, work, shape) for shape in work.small)).wait()
        time.sleep(IDLE)
        before = {pid: memory(pid, "VmRSS") for pid in agents}
        inputs = [_secret(federation, device, work, shape) for shape in work.shapes]
        run(*(_secret(federation, device, work, shape) for shape in work.small)).wait()  # what was let go is gone
        time.sleep(IDLE)
        for pid in agents:
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        handle = run(*inputs)
        handle.wait()
        after = {pid: memory(pid, "VmHWM") for pid in agents}
        seconds = max(usage.seconds for usage in handle.ref.product.record.done_at.values())
    peak = max(after[pid] - before[pid] for pid in agents)
    return Found(name, live_set(work.program(), PARTS), peak, max(after.values()), seconds)


def _secret(federation: Any, device: Any, work: Work, shape: tuple[int, ...]) -> Any:
    """Numbers that nobody knows: the sum of one part of alice and one of bob, which are let go."""
    alice, bob = federation.parties[:2]
    one, two = (
        at(party)(addend)("real", work.low, work.high, list(shape), 0, second)
        for party, second in ((alice, False), (bob, True))
    )
    return at(device)(lambda a, b: a + b)(one, two).wait()


def children() -> list[int]:
    """The processes that this one has started: the agents."""
    return [int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


def memory(pid: int, field: str) -> int:
    """Bytes of a field of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


# ---- the table -------------------------------------------------------------------------------------------------------


def table(rows: list[Found]) -> str:
    lines = [
        "| program | live set | peak | ratio | at most | absolute | at most |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = f"{row.ratio:.2f}" + (" **missed**" if row.ratio > RATIO else "")
        absolute = f"{row.absolute / 2**30:.2f} GiB" + (" **missed**" if row.too_large else "")
        limit = f"{ABSOLUTE / 2**30:g} GiB" if row.name in BOUNDED else "-"
        cells = row.name, f"{row.live / 1e6:.1f} MB", f"{row.peak / 1e6:.1f} MB", ratio, f"{RATIO:g}", absolute, limit
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def chosen(only: str | None) -> dict[str, Work]:
    """The rows of these names or operations, all by default. ValueError for a name that is none."""
    known = works()
    if only is None:
        return known
    names = only.split(",")
    unknown = [name for name in names if not any(name in (row, row.split(":")[0]) for row in known)]
    if unknown:
        raise ValueError(f"rows {', '.join(unknown)}; wanted: some of {', '.join(known)}")
    return {row: work for row, work in known.items() if row in names or row.split(":")[0] in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of rows or operations, separated by commas")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    arguments = parser.parse_args()
    rows = []
    for name, work in chosen(arguments.only).items():
        rows.append(measure(name, work))
        print(table(rows[-1:]).splitlines()[-1], flush=True)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps([vars(row) | {"ratio": row.ratio} for row in rows], indent=1) + "\n", "utf-8")
    if arguments.write:
        write(f"\n{table(rows)}\n", *MARKS)


if __name__ == "__main__":
    main()
