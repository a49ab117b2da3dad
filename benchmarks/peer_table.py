"""The peer's own range beside ours: every operation of its tables at every size that it does in seconds.

    python benchmarks/peer_table.py [--only sort,mul:1e6] [--rounds 3] [--link tcp] [--out out/peer.json] [--write]
    python benchmarks/peer_table.py --protocol semi2k+dealer --write
    python benchmarks/peer_table.py --protocol cheetah --write

Each row is measured as in `run.py`, in turn. Here both limits are ratios: no row may take more than half of the
peer's time or 0.8 of its bytes, some have a limit of their own, and the geometric means, which are of the operations
alone, have theirs. `--link` is the peer's for operations: processes over loopback TCP, as ours, or threads that pass
messages in memory. Whole programs of the peer always pass them in memory, but for the chain, which measures links.
`--protocol semi2k+dealer` is two parties: ours with a dealer, the peer with its first party trusted to deal. `--only`
takes names of rows, or of operations for all of their sizes. `--write` puts the table into benchmarks/README.md.

`--protocol cheetah` is two parties alone. What they set up is a row of its own, and made by small programs before any
other row. They go on making correlations in bulk, which falls into some of the runs: so times are means of all runs, of
both programs, and bytes those of operations and of correlations (`bytes_ahead`), means as well. Comparisons of a
million use products that are made ahead while nothing else is done, ten seconds before each run; in "made meanwhile"
there is no such time, and the products are made in the run. Rows say how often the
peer runs, once where it takes seconds. Two rows have peaks of memory besides: the agent's that takes most
(`memory.py` says how), and the largest of the peer's processes, each with its interpreter.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import geometric_mean, mean

import memory
import numpy as np
from run import ROOT, alone, in_turn, write

from argot.bench import cancer

TIME, BYTES = 0.5, 0.8
MEAN_TIME, MEAN_BYTES = 0.10, 0.35
MARKS = {
    "aby3": ("<!-- peer table -->", "<!-- end of peer table -->"),
    "semi2k+dealer": ("<!-- semi2k -->", "<!-- end of semi2k -->"),
    "cheetah": ("<!-- cheetah -->", "<!-- end of cheetah -->"),
}


Limits = tuple[float, float | None]
"""Of the geometric means of times and of bytes."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: the operation and its size.
        ours: arguments of `argot bench`.
        peer: operation and size in the peer's script; None where it does not end.
        time: the ratio of times must be at most this; None where there is no limit.
        bytes: the ratio of bytes must be at most this; None where the peer sends nothing, or there is no limit.
        reps: runs of each program, of which the median counts.
        link: the peer's, where it is not to be chosen.
        peer_reps: runs of the peer, where they are others.
        again: an operation that is there already under other circumstances, which the means leave out.
        memory: the ratio of peaks must be at most this; None where they are not measured.
    """

    name: str
    ours: list[str]
    peer: tuple[str, str] | None
    time: float | None = TIME
    bytes: float | None = BYTES
    reps: int = 5
    link: str | None = None
    peer_reps: int | None = None
    again: bool = False
    memory: float | None = None

    @property
    def op(self) -> str:
        return self.name.split(":")[0]


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
    Row(
        f"{op}:{size}",
        ["mpc", "--op", op, "--n", SIZES[size], "--protocol", "semi2k+dealer"],
        (op, SIZES[size]),
        1.0,
        None,
    )
    for op in (*FAST, *SLOW)
    for size in ("1e4", "1e5")
]


def pair(op: str, size: str, time: float | None = 1.0, bytes: float | None = None, reps: int = 5, peer: int = 1) -> Row:
    """An operation of two parties alone, and how often the peer runs it."""
    n = SIZES.get(size, size.replace("x", ","))
    ours = ["mpc", "--protocol", "cheetah", "--op", op, "--n", n]
    return Row(f"{op}:{size}", ours, (op, n), time, bytes, reps, peer_reps=peer)


def rested(row: Row, seconds: int) -> Row:
    """With time before each run in which ours may make correlations ahead."""
    return replace(row, ours=[*row.ours, "--rest", str(seconds)])


CANCER = ROOT / "out" / "cancer.npz"
CHEETAH_TIME = 0.1  # of the geometric mean
CHEETAH = [
    Row("setup", ["setup", "--protocol", "cheetah"], ("setup", "16"), 0.5, None, reps=5, link="tcp", peer_reps=2),
    *(pair(op, "1e4", reps=30, peer=30) for op in ("mul", "less", "relu", "max")),
    pair("exp", "1e4", reps=15, peer=15),
    *(pair(op, "1e4", 0.05, reps=15, peer=1) for op in ("reciprocal", "log", "sqrt")),
    pair("sigmoid", "1e5", 0.05),
    replace(pair("mul", "1e6", 0.2, peer=2), memory=0.25),
    rested(replace(pair("less", "1e6", 0.15, 0.5), memory=0.25), 10),
    replace(pair("less", "1e6", None, 0.5), name="less:1e6, made meanwhile", again=True),
    pair("matmul", "500x500x500", 0.2, 0.7),
    replace(pair("matmul", "1000x1000x1000", None, reps=1), peer=None),
    Row("cancer:10x64", ["cancer", "--protocol", "cheetah"], ("cancer", "10,64"), 0.1, 0.1, 3, "memory", 1),
    Row("infer:128", ["infer", "--protocol", "cheetah"], ("infer", "128"), None, None, 5, "memory", 1),
]
PROGRAMS = ("chain", "lr", "mlp", "share", "setup", "cancer", "infer")
TABLES: dict[str, tuple[list[Row], Limits]] = {
    "aby3": (ROWS, (MEAN_TIME, MEAN_BYTES)),
    "semi2k+dealer": (SEMI2K, (SEMI2K_TIME, None)),
    "cheetah": (CHEETAH, (CHEETAH_TIME, None)),
}


def measure(row: Row, link: str, rounds: int, protocol: str = "aby3") -> dict:
    """Both programs' figures and their ratios, with the limits."""
    link, mine = row.link or link, [*row.ours, "--reps", str(row.reps)]
    if row.peer is None:
        return {"name": row.name, "ours": alone(mine), "time_text": "completes"}
    op, n = row.peer
    name, reps = protocol.partition("+")[0], str(row.peer_reps or row.reps)
    theirs = ["spu_run.py", "--protocol", name, "--op", op, "--n", n, "--link", link, "--reps", reps]
    if op == "cancer":
        theirs += ["--data", str(CANCER)]
    if protocol == "cheetah" and op != "setup":
        theirs += ["--first", "small"]
    peer, ours = in_turn(theirs, mine, rounds)
    if protocol == "cheetah":
        peer["seconds_median"], peer["seconds"] = peer["seconds"], mean(peer["runs"])
        ours["seconds_median"], ours["seconds"] = ours["seconds"], ours.get("seconds_mean", ours["seconds"])
    found = {"name": row.name, "link": link, "ours": ours, "peer": peer, "again": row.again}
    found["time"], found["time_limit"] = ours["seconds"] / peer["seconds"], row.time
    if "bytes_total" in peer and (row.bytes is not None or protocol == "cheetah"):
        found["bytes"], found["bytes_limit"] = sent(ours) / peer["bytes_total"], row.bytes
    if row.memory is not None:
        ours["peak_bytes"] = memory.measure(row.name, memory.works()[row.name], protocol).absolute
        found["memory"], found["memory_limit"] = ours["peak_bytes"] / peer["peak_bytes"], row.memory
    return found


def sent(ours: dict) -> int:
    """All bytes of ours: those of operations, and of what was made ahead of them."""
    return ours["bytes_total"] + ours.get("bytes_ahead", 0)


def summary(rows: list[dict], limits: Limits = (MEAN_TIME, MEAN_BYTES)) -> dict:
    """Geometric means of the ratios of operations, or of all rows if there are no others, with their limits."""
    rows = [r for r in rows if "peer" in r and not r.get("again")]
    rows = [r for r in rows if r["name"].split(":")[0] not in PROGRAMS] or rows
    if not rows:
        return {}
    found = {"time": geometric_mean(r["time"] for r in rows), "time_limit": limits[0]}
    if ratios := [r["bytes"] for r in rows if "bytes" in r]:
        found |= {"bytes": geometric_mean(ratios), "bytes_limit": limits[1]}
    return found


def table(rows: list[dict], limits: Limits = (MEAN_TIME, MEAN_BYTES)) -> str:
    """The measurements as Markdown, the means last."""
    lines = [
        "| row | ours | peer | time | at most | our bytes | peer's | bytes | at most |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        ours, peer = r["ours"], r.get("peer", {})
        took = f"{ours['seconds'] * 1e3:.1f} ms | " + (f"{peer['seconds'] * 1e3:.1f} ms" if peer else "-")
        ahead = f" ({ours['bytes_ahead']:,} ahead)" if ours.get("bytes_ahead") else ""
        bytes_sent = f"{sent(ours):,}{ahead} | " + (f"{peer['bytes_total']:,}" if "bytes_total" in peer else "-")
        lines.append(f"| {r['name']} | {took} | {ratio(r, 'time')} | {bytes_sent} | {ratio(r, 'bytes')} |")
    means = summary(rows, limits)
    lines.append(f"| geometric mean | | | {ratio(means, 'time')} | | | {ratio(means, 'bytes')} |")
    return "\n".join([*lines, *peaks(rows)])


def peaks(rows: list[dict]) -> list[str]:
    """A table of peak memory, where rows have it."""
    measured = [r for r in rows if "memory" in r]
    if not measured:
        return []
    lines = ["", "| peak memory of a party | ours | peer | ratio | at most |", "|---|---|---|---|---|"]
    for r in measured:
        ours, peer = (f"{r[of]['peak_bytes'] / 1e6:.0f} MB" for of in ("ours", "peer"))
        lines.append(f"| {r['name']} | {ours} | {peer} | {ratio(r, 'memory')} |")
    return lines


def ratio(found: dict, what: str) -> str:
    """Two cells: a ratio, marked if it is above its limit, and the limit."""
    if what not in found:
        return f"- | {found.get(f'{what}_text', '-')}"
    limit = found[f"{what}_limit"]
    if limit is None:
        return f"{found[what]:.3f} | -"
    return f"{found[what]:.3f}{' **missed**' if found[what] > limit else ''} | {limit:g}"


def chosen(only: str | None, rows: list[Row]) -> list[Row]:
    """The rows of these names. ValueError for a name that there is not."""
    if only is None:
        return rows
    wanted = set(only.split(","))
    if unknown := wanted - {name for row in rows for name in (row.name, row.op)}:
        raise ValueError(f"no rows {', '.join(sorted(unknown))}; there are {', '.join(row.name for row in rows)}")
    return [row for row in rows if wanted & {row.name, row.op}]


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
    every, limits = TABLES[a.protocol]
    try:
        todo = chosen(a.only, every)
    except ValueError as error:
        parser.error(str(error))
    rows: list[dict] = []
    date = time.strftime("%Y-%m-%d")
    a.out.parent.mkdir(exist_ok=True)
    if any(row.op == "cancer" for row in todo):
        x = np.hstack([cancer.columns(0), cancer.columns(1)])
        np.savez(CANCER, x=x.astype(np.float32), y=cancer.labels().astype(np.float32))
    for row in todo:
        rows.append(measure(row, a.link, a.rounds, a.protocol))
        print(f"-- {row.name}: {ratio(rows[-1], 'time')}", file=sys.stderr, flush=True)
        a.out.write_text(json.dumps({"date": date, "rows": rows, "mean": summary(rows, limits)}, indent=1))
    print("\n" + table(rows, limits) + f"\n\nwritten to {a.out}")
    if a.write:
        write(
            f"\nMeasured {date}, median of {a.rounds} rounds, the peer's link: {a.link}.\n\n{table(rows, limits)}\n",
            *MARKS[a.protocol],
        )


if __name__ == "__main__":
    main()
