"""The peer's own range beside ours: every operation of its tables at every size that it does in seconds.

    python benchmarks/peer_table.py [--only sort,mul:1e6] [--rounds 3] [--link tcp] [--out out/peer.json] [--write]
    python benchmarks/peer_table.py --protocol semi2k+dealer --write

Each row is measured as in `run.py`, in turn. Here both limits are ratios: no row may take more than half of the
peer's time or 0.8 of its bytes, some have a limit of their own, and the geometric means, which are of the operations
alone, have theirs. `--link` is the peer's for operations: processes over loopback TCP, as ours, or threads that pass
messages in memory. Whole programs of the peer always pass them in memory, but for the chain, which measures links.
`--protocol semi2k+dealer` is two parties: ours with a dealer, the peer with its first party trusted to deal. `--only` takes
names of rows, or of operations for all of their sizes. `--write` puts the table into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean

from run import ROOT, in_turn, write

TIME, BYTES = 0.5, 0.8
MEAN_TIME, MEAN_BYTES = 0.10, 0.35
MARKS = {
    "aby3": ("<!-- peer table -->", "<!-- end of peer table -->"),
    "semi2k+dealer": ("<!-- semi2k -->", "<!-- end of semi2k -->"),
}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: the operation and its size.
        ours: arguments of `argot bench`.
        peer: operation and size in the peer's script.
        time: the ratio of times must be at most this.
        bytes: the ratio of bytes must be at most this; None where the peer sends nothing.
        reps: runs of each program, of which the median counts.
        link: the peer's, where it is not to be chosen.
    """

    name: str
    ours: list[str]
    peer: tuple[str, str]
    time: float = TIME
    bytes: float | None = BYTES
    reps: int = 5
    link: str | None = None


def mpc(op: str, size: str, n: str, time: float = TIME, bytes: float = BYTES, reps: int = 5) -> Row:
    return Row(f"{op}:{size}", ["mpc", "--op", op, "--n", n], (op, n), time, bytes, reps)


REPS = {"1e4": 15, "1e5": 5, "1e6": 5}  # a run of 1e4 is a few milliseconds, and noise of the machine as much
SIZES = {"1e4": "10000", "1e5": "100000", "1e6": "1000000"}
FAST = ("mul", "imul", "less", "equal", "where", "relu", "exp", "max")
SLOW = ("log", "reciprocal", "sqrt", "rsqrt", "sigmoid", "tanh", "softmax")  # 5 to 15 s of the peer for 1e6: one run
OWN_BYTES = {"imul": 1.0}
PRODUCTS = ("500,500,500", "1000,1000,1000", "1000,1000,10", "10000,100,1")
ROWS = [
    *(mpc(op, size, n, bytes=OWN_BYTES.get(op, BYTES), reps=REPS[size]) for op in FAST for size, n in SIZES.items()),
    *(mpc(op, size, n, reps=1 if size == "1e6" else REPS[size]) for op in SLOW for size, n in SIZES.items()),
    mpc("sort", "1e4", "10000"),
    mpc("sort", "1e5", "100000", time=0.1, reps=3),
    *(mpc("matmul", size.replace(",", "x"), size) for size in PRODUCTS),
    Row("chain:100", ["mpc", "--op", "chain", "--n", "1"], ("chain", "1"), reps=15),
    Row("lr:100000x100", ["lr", "--rows", "100000", "--cols", "100"], ("lr", "100000,100,1024"), 0.25, link="memory"),
    Row("mlp:6000", ["mlp", "--rows", "6000", "--batch", "128"], ("mlp", "6000,128"), 0.2, reps=1, link="memory"),
    Row("share:1e7", ["share", "--n", "10000000"], ("share", "10000000"), 0.15, bytes=None, link="memory"),
]
SEMI2K_TIME = 0.25  # of the geometric mean
SEMI2K = [
    Row(f"{op}:{size}", ["mpc", "--op", op, "--n", SIZES[size], "--protocol", "semi2k+dealer"], (op, SIZES[size]), 1.0, None)
    for op in (*FAST, *SLOW)
    for size in ("1e4", "1e5")
]
PROGRAMS = ("chain", "lr", "mlp", "share")


def measure(row: Row, link: str, rounds: int, protocol: str = "aby3") -> dict:
    """Both programs' figures and their ratios, with the limits."""
    op, n = row.peer
    link, reps = row.link or link, ["--reps", str(row.reps)]
    theirs = ["spu_run.py", "--protocol", protocol, "--op", op, "--n", n, "--link", link, *reps]
    peer, ours = in_turn(theirs, [*row.ours, *reps], rounds)
    found = {"name": row.name, "link": link, "ours": ours, "peer": peer}
    found["time"], found["time_limit"] = ours["seconds"] / peer["seconds"], row.time
    if row.bytes is not None:
        found["bytes"], found["bytes_limit"] = ours["bytes_total"] / peer["bytes_total"], row.bytes
    return found


def summary(rows: list[dict], time: float = MEAN_TIME) -> dict:
    """Geometric means of the ratios of operations, or of all rows if there are no others, with their limits."""
    rows = [r for r in rows if r["name"].split(":")[0] not in PROGRAMS] or rows
    found = {"time": geometric_mean(r["time"] for r in rows), "time_limit": time}
    if ratios := [r["bytes"] for r in rows if "bytes" in r]:
        found |= {"bytes": geometric_mean(ratios), "bytes_limit": MEAN_BYTES}
    return found


def table(rows: list[dict], time: float = MEAN_TIME) -> str:
    """The measurements as Markdown, the means last."""
    lines = [
        "| row | ours | peer | time | at most | our bytes | peer's | bytes | at most |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        ours, peer = r["ours"], r["peer"]
        took = f"{ours['seconds'] * 1e3:.1f} ms | {peer['seconds'] * 1e3:.1f} ms"
        sent = f"{ours['bytes_total']:,} | " + (f"{peer['bytes_total']:,}" if "bytes_total" in peer else "-")
        lines.append(f"| {r['name']} | {took} | {ratio(r, 'time')} | {sent} | {ratio(r, 'bytes')} |")
    means = summary(rows, time)
    lines.append(f"| geometric mean | | | {ratio(means, 'time')} | | | {ratio(means, 'bytes')} |")
    return "\n".join(lines)


def ratio(found: dict, what: str) -> str:
    """Two cells: a ratio, marked if it is above its limit, and the limit."""
    if what not in found:
        return "- | -"
    missed = " **missed**" if found[what] > found[f"{what}_limit"] else ""
    return f"{found[what]:.3f}{missed} | {found[f'{what}_limit']:g}"


def chosen(only: str | None, rows: list[Row]) -> list[Row]:
    """The rows of these names. ValueError for a name that there is not."""
    if only is None:
        return rows
    wanted = set(only.split(","))
    if unknown := wanted - {name for row in rows for name in (row.name, row.peer[0])}:
        raise ValueError(f"no rows {', '.join(sorted(unknown))}; there are {', '.join(row.name for row in rows)}")
    return [row for row in rows if wanted & {row.name, row.peer[0]}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=list(MARKS), default="aby3")
    parser.add_argument("--only", help="names of rows or of operations, separated by commas")
    parser.add_argument("--rounds", type=int, default=1, help="of the peer and ours in turn; an odd number")
    parser.add_argument("--link", choices=["memory", "tcp"], default="tcp", help="of the peer's parties")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "peer.json")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    a = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    try:
        todo = chosen(a.only, ROWS if a.protocol == "aby3" else SEMI2K)
    except ValueError as error:
        parser.error(str(error))
    rows: list[dict] = []
    mean = MEAN_TIME if a.protocol == "aby3" else SEMI2K_TIME
    date = time.strftime("%Y-%m-%d")
    a.out.parent.mkdir(exist_ok=True)
    for row in todo:
        rows.append(measure(row, a.link, a.rounds, a.protocol))
        print(f"-- {row.name}: {rows[-1]['time']:.3f}", file=sys.stderr, flush=True)
        a.out.write_text(json.dumps({"date": date, "rows": rows, "mean": summary(rows, mean)}, indent=1))
    print("\n" + table(rows, mean) + f"\n\nwritten to {a.out}")
    if a.write:
        write(
            f"\nMeasured {date}, median of {a.rounds} rounds, the peer's link: {a.link}.\n\n{table(rows, mean)}\n",
            *MARKS[a.protocol],
        )


if __name__ == "__main__":
    main()
