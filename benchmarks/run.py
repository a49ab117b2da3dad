"""The table of ratios: Argot beside its peer on the same machine in the same run, in turn.

    python benchmarks/run.py [--only mul,less] [--rounds 3] [--once psi] [--out out/bench.json] [--write]

Each row runs the peer's script and `argot bench ... --json` in turn, `--rounds` times, each a median of five after one
that does not count, and prints the ratio of the medians over the rounds with the limit it must stay under, and the
bytes with theirs. The peer is installed into a virtual environment of its own (.peers), never into ours.

The floor of our link is measured first and stands beside each row: what its rounds and bytes would take if nothing but
the link cost anything, rounds * (64 B there and back) / 2 + bytes / (rate of 32 MB both ways at once). Kernels and the
engine's overhead come with it. `--write` puts what was measured into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".peers"
PEER_PACKAGES = ["spu==0.9.5"]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        work: what the reader sees.
        ours: arguments of `argot bench`.
        peer: arguments of the peer's script, the script first.
        time: the ratio ours / peer must be at most this.
        bytes: bytes per element over all parties must be at most this; None where the table sets no limit.
        per: elements to divide the bytes by.
    """

    name: str
    work: str
    ours: list[str]
    peer: list[str]
    time: float
    bytes: float | None = None
    per: int = 1


def mpc(op: str, n: str, link: str, work: str, time: float, bytes: float | None, per: int, *more: str) -> Row:
    ours = ["mpc", "--protocol", "aby3", "--op", op, "--n", n, *more]
    return Row(
        op if not more else f"{op}:{more[-1].replace(',', '..')}",
        work,
        ours,
        ["spu_run.py", "--op", op, "--n", n, "--link", link],
        time,
        bytes,
        per,
    )


M = 1_000_000
ROWS = [
    mpc("mul", "1000000", "tcp", "fixed-point mul of 1e6", 0.2, 32, M),
    mpc("less", "1000000", "tcp", "less-than of 1e6", 0.12, 70, M),
    mpc("where", "1000000", "memory", "select of 1e6", 0.4, 34, M),
    mpc("sigmoid", "100000", "tcp", "sigmoid of 1e5", 0.1, 330, M // 10),
    mpc("sigmoid", "100000", "tcp", "sigmoid of 1e5, |x| < 2^13 declared", 0.1, 260, M // 10, "--bounds", "8192"),
    mpc("exp", "100000", "memory", "exp of 1e5", 0.7, 235, M // 10),
    mpc("exp", "100000", "memory", "exp of 1e5, |x| < 2^13 declared", 0.7, 160, M // 10, "--bounds", "8192"),
    mpc("exp", "100000", "memory", "exp of 1e5, domain declared", 0.7, 60, M // 10, "--bounds", "-12,8"),
    mpc("matmul", "1000,1000,1000", "tcp", "matmul 1000 x 1000 x 1000", 0.2, 32, M),
    mpc("chain", "1", "tcp", "100 dependent scalar multiplications", 0.15, None, 1),
    mpc("sort", "100000", "tcp", "sort of 1e5 reals", 0.1, 2400, M // 10),
    Row(
        "lr",
        "logistic regression 100,000 x 100, one epoch at batch 1024",
        ["lr", "--rows", "100000", "--cols", "100", "--batch", "1024"],
        ["spu_run.py", "--op", "lr", "--n", "100000,100,1024", "--link", "memory"],
        0.4,
    ),
    Row(
        "psi",
        "ECDH-PSI 2^17 x 2^17, files in and out",
        ["psi", "--n", "131072"],
        ["psi_run.py", "--n", "131072"],
        5,
        80,
        1 << 17,
    ),
]


def peer_python() -> Path:
    """The interpreter of the peers' environment, made at the first call."""
    python = PEERS / "bin" / "python"
    if not (PEERS / ".installed").exists():
        print("installing the peer into .peers (about a minute)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PEER_PACKAGES], check=True)
        (PEERS / ".installed").touch()
    return python


def last_json(command: list[str], timeout: float = 900) -> dict:
    """Run a command and read the JSON object in its last line that is one."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=ROOT)
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise RuntimeError(f"{' '.join(command)} printed no result:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def middle(runs: list[dict]) -> dict:
    """The run with the median time."""
    return sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]


def in_turn(peer: list[str], ours: list[str], rounds: int) -> tuple[dict, dict]:
    """The middle runs of the peer's script and of `argot bench`, with these arguments."""
    theirs = [str(peer_python()), str(ROOT / "benchmarks" / "peers" / peer[0]), *peer[1:]]
    pairs = [(last_json(theirs), alone(ours)) for _ in range(rounds)]
    return middle([run for run, _ in pairs]), middle([run for _, run in pairs])


def alone(ours: list[str]) -> dict:
    """What `argot bench` prints with these arguments."""
    return last_json([sys.executable, "-m", "argot", "bench", *ours, "--json"])


def measure(row: Row, rounds: int) -> dict:
    """The peer's figures and ours, in turn."""
    peer, ours = in_turn(row.peer, row.ours, rounds)
    found = {"name": row.name, "work": row.work, "ours": ours, "peer": peer, "time_limit": row.time}
    found["ratio"] = ours["seconds"] / peer["seconds"]
    if row.bytes is not None:
        found["bytes_per_element"] = ours["bytes_total"] / row.per
        found["bytes_limit"] = row.bytes
        if "bytes_total" in peer:
            found["peer_bytes_per_element"] = peer["bytes_total"] / row.per
    return found


def floor(row: dict, link: dict) -> float:
    """Seconds that the row's rounds and bytes take at the least over a link of these figures (benchmarks/floor.py)."""
    rounds = row["ours"]["rounds"] * link["round_trip_us"] / 2 * 1e-6
    return rounds + row["ours"]["bytes_total"] / (link["both_ways_gb_per_s"] * 1e9)


def table(rows: list[dict], link: dict) -> str:
    """The measurements as Markdown."""
    lines = [
        "| work | floor | ours | peer | ratio | at most | bytes an element | at most | peer |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        bytes_ours = f"{r['bytes_per_element']:.1f}" if "bytes_per_element" in r else "-"
        limit = f"{r['bytes_limit']:g}" if "bytes_limit" in r else "-"
        bytes_peer = f"{r['peer_bytes_per_element']:.0f}" if "peer_bytes_per_element" in r else "-"
        met = "" if r["ratio"] <= r["time_limit"] else " **missed**"
        met_bytes = "" if r.get("bytes_per_element", 0) <= r.get("bytes_limit", 0) else " **missed**"
        lines.append(
            f"| {r['work']} | {floor(r, link) * 1e3:.1f} ms | {r['ours']['seconds'] * 1e3:.1f} ms "
            f"| {r['peer']['seconds'] * 1e3:.1f} ms "
            f"| {r['ratio']:.3f}{met} | {r['time_limit']:g} | {bytes_ours}{met_bytes} | {limit} | {bytes_peer} |"
        )
    return "\n".join(lines)


def script(name: str) -> str:
    """What one of the scripts beside this one prints."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / name)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    print(f"\n== {name}\n{done.stdout}", flush=True)
    return done.stdout.strip("\n")


def write(found: str, start: str = "<!-- measured -->", end: str = "<!-- end -->") -> None:
    """Put the measurements into README.md, between these marks."""
    readme = ROOT / "benchmarks" / "README.md"
    head, rest = readme.read_text(encoding="utf-8").split(start, 1)
    _, tail = rest.split(end, 1)
    readme.write_text(f"{head}{start}\n{found}\n{end}{tail}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of rows, separated by commas: " + ", ".join(r.name for r in ROWS))
    parser.add_argument("--rounds", type=int, default=1, help="of the peer and ours in turn; an odd number")
    parser.add_argument("--once", default="", help="rows to measure in one round only, as they take minutes: psi")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "bench.json")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    a = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    link = last_json([sys.executable, str(ROOT / "benchmarks" / "floor.py"), "--json"])
    wanted = a.only.split(",") if a.only else [r.name for r in ROWS]
    if unknown := set(wanted) - {r.name for r in ROWS}:
        parser.error(f"no rows {', '.join(sorted(unknown))}; there are {', '.join(r.name for r in ROWS)}")
    parts = {} if a.only else {name: script(name) for name in ("floor.py", "kernels.py", "overhead.py", "startup.py")}
    rows = []
    for row in ROWS:
        if row.name in wanted:
            print(f"-- {row.work}", file=sys.stderr, flush=True)
            rows.append(measure(row, 1 if row.name in a.once.split(",") else a.rounds))
    ratios = table(rows, link)
    print("\n" + ratios)
    date = time.strftime("%Y-%m-%d")
    a.out.parent.mkdir(exist_ok=True)
    a.out.write_text(json.dumps({"date": date, "floor": link, "rows": rows}, indent=1))
    print(f"\nwritten to {a.out.relative_to(ROOT) if a.out.is_relative_to(ROOT) else a.out}")
    if a.write:
        blocks = [f"`{name}`:\n\n```\n{text}\n```\n" for name, text in parts.items()]
        once = f" ({a.once}: one)" if a.once else ""
        write("\n".join([f"\nMeasured {date}, median of {a.rounds} rounds{once}.\n", ratios, "", *blocks]))


if __name__ == "__main__":
    main()
