"""Time, rounds and bytes of the operations over links such as those between institutions.

    make bench-wan
    sudo .venv/bin/python benchmarks/wan.py --links slow --only mul,lr --reps 1

Each agent is deployed by itself, with a directory, key and policy of its own, in a Linux network namespace of its own;
so is the driver, which is shaped like the others. `netns.py` joins them. A link's latency is the round trip between
two agents: half of it is spent each way. Ends with exit code 2, and says why, where there can be no such network.

Beside each time stands its floor: rounds x half a round trip + bytes of the busiest party / rate, by the link's nominal
figures; what TCP, TLS and the arithmetic take comes on top. The link is probed first (`probe.py`), and what it really
gives is printed. Times are what the agents measured, medians of `--reps` after a run that does not count; inputs are
shared before. Bytes are payload.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import netns
from netns import Link, Network

import argot
from argot.agent.setup import init_agent, init_user
from argot.bench import lr, mlp, mpc

ROOT = Path(__file__).resolve().parent.parent
PARTIES = ("alice", "bob", "carol")
DRIVER = "ana"
PORT = 9000
READY_SECONDS = 60.0
MARKS = "<!-- wan -->", "<!-- end of wan -->"

LINKS = {
    "fast": Link("10 Gbit/s, 0.1 ms", 10e9, 1e-4),
    "middle": Link("1 Gbit/s, 1 ms", 1e9, 1e-3),
    "slow": Link("100 Mbit/s, 40 ms", 100e6, 40e-3),
}
SIZES = dict.fromkeys(
    ("mul", "less", "where", "exp", "sigmoid", "tanh", "log", "reciprocal", "sqrt", "rsqrt", "max", "softmax"), "100000"
) | {"matmul": "500,500,500", "sort": "10000", "chain": "1"}
ROWS, COLUMNS, BATCH = 100_000, 100, 1024
STEPS, IMAGES = 3, 128
NAMES = (*SIZES, "lr", "mlp")

PEER_ROUNDS = 83
"""Messages that the busiest party of SPU 0.9.5 (ABY3, FM64) sends in a batch of this regression, by its own counter:
8,088 in the 97 of an epoch over 100,000 x 100 rows. Messages bound its sequential rounds roughly, from above. A count
by its protocols gives 86: 3 for each of two products of matrices, 80 for a sigmoid."""
PEER_RATIO = 0.25


@dataclass(frozen=True)
class Found:
    """One row: `steps` is the number of batches, 1 for an operation; `rounds` and the rest are those of all steps."""

    name: str
    work: str
    steps: int
    seconds: float
    rounds: int
    bytes_total: int
    bytes_busiest: int

    def floor(self, link: Link) -> float:
        """Seconds that rounds and bytes take at the least."""
        return self.rounds * link.round_trip / 2 + self.bytes_busiest * 8 / link.rate


# In the driver's namespace.


def drive(federation: str, names: list[str], reps: int) -> None:
    """Measure on the agents of a federation.toml; prints a row as JSON as soon as it is there."""
    with argot.connect(federation, READY_SECONDS) as agents:
        for name in names:
            print(json.dumps(vars(measure(agents, name, reps))), flush=True)


def measure(agents: argot.Federation, name: str, reps: int) -> Found:
    if name == "lr":
        found = lr.bench(ROWS, COLUMNS, BATCH, reps, agents=agents)
        steps = -(-ROWS // BATCH)
        work = f"logistic regression, {steps} batches of {BATCH} x {COLUMNS}"
    elif name == "mlp":
        found, steps = mlp.bench(STEPS * IMAGES, IMAGES, reps, agents=agents), STEPS
        work = f"network {'-'.join(map(str, mlp.SIZES))}, {STEPS} batches of {IMAGES}"
    else:
        found, steps = mpc.bench("aby3", name, SIZES[name], reps, agents=agents), 1
        work = {"chain": "chain of 100 mul"}.get(name, f"{name} {SIZES[name].replace(',', ' x ')}")
    return Found(name, work, steps, *(found[k] for k in ("seconds", "rounds", "bytes_total", "bytes_busiest")))


# Outside.


def deploy(network: Network, folder: Path) -> Path:
    """Keys, configurations and running agents; returns the driver's federation.toml."""
    address = {name: f"{network.address[name]}:{PORT}" for name in PARTIES}
    keys = {name: init_agent(name, folder / name, address[name])[0].fingerprint for name in PARTIES}
    user, federation = init_user(DRIVER, PARTIES[0], folder / DRIVER)
    at = {name: f'fingerprint = "{keys[name]}"\naddress = "{address[name]}"\n' for name in PARTIES}
    for name in PARTIES:
        peers = "".join(f"[peers.{peer}]\n{at[peer]}" for peer in PARTIES if peer != name)
        (folder / name / f"{name}.toml").write_text(
            f'name = "{name}"\nlisten = "{address[name]}"\n'
            'functions = ["argot.bench.arguments:addend", "argot.bench.lr:*", "argot.bench.mlp:*"]\n'
            f'{peers}[users.{DRIVER}]\nfingerprint = "{user.fingerprint}"\nparty = "{PARTIES[0]}"\n'
            f'[policy]\ndevices = ["aby3({", ".join(PARTIES)})"]\n[[policy.reveal]]\nto = ["{PARTIES[0]}"]\n'
        )
        start = [sys.executable, "-m", "argot", "agent", "start", "--config", str(folder / name / f"{name}.toml")]
        line_of(network.start(name, start), "listens at")
    agents = "".join(f"[agents.{name}]\n{at[name]}" for name in PARTIES)
    federation.write_text(f'user = "{DRIVER}"\nparty = "{PARTIES[0]}"\n{agents}')
    return federation


def line_of(process: subprocess.Popen[str], expected: str) -> str:
    """The process's next line of output, which has these words in it."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if expected not in line:
        raise RuntimeError(f"{process.args} said {line!r}, not {expected!r}")
    return line


def probe(network: Network) -> dict[str, Any]:
    """What `probe.py` says of two agents' namespaces."""
    script = [sys.executable, str(Path(__file__).parent / "probe.py")]
    line_of(network.start("bob", [*script, "serve"]), "ready")
    size = str(int(min(32e6, network.link.rate / 8 * 0.4)))
    return json.loads(line_of(network.start("alice", [*script, "measure", network.address["bob"], size]), "{"))


def over(kind: str, names: list[str], reps: int) -> dict:
    """Everything about one link."""
    with (
        tempfile.TemporaryDirectory(prefix="argot-wan-") as folder,
        Network((*PARTIES, DRIVER), LINKS[kind]) as network,
    ):
        print(f"\n{network.link.name} ({network.how})", flush=True)
        given = probe(network)
        print(f"measured: {said(given)}", flush=True)
        plan = ["--drive", str(deploy(network, Path(folder))), "--only", ",".join(names)]
        driver = network.start(DRIVER, [sys.executable, __file__, *plan, "--reps", str(reps)])
        rows = list(rows_of(driver, network.link))
        if driver.wait() != 0 or len(rows) != len(names):
            raise RuntimeError(f"the driver ended after {len(rows)} of {len(names)} rows (see above)")
        return {"kind": kind, "link": vars(network.link), "how": network.how, "measured": given, "rows": rows}


def rows_of(driver: subprocess.Popen[str], link: Link) -> Iterator[dict]:
    """The driver's rows, printed as they come."""
    assert driver.stdout is not None
    for line in driver.stdout:
        row = Found(**json.loads(line))
        print("  ".join(cells(row, link)), flush=True)
        yield vars(row)


def said(given: dict[str, Any]) -> str:
    rate = f"{given['bits_per_s'] / 1e6:.0f} Mbit/s"
    return f"round trip {given['round_trip_s'] * 1e3:.2f} ms, {rate}, TCP with {given['congestion']}"


def cells(row: Found, link: Link) -> list[str]:
    """One row of the table."""
    floor = row.floor(link)
    step = f"{row.seconds / row.steps * 1e3:.1f} ms" if row.steps > 1 else "-"
    sizes = (f"{size / 1e6:.3f} MB" for size in (row.bytes_total, row.bytes_busiest))
    times = f"{floor * 1e3:.1f} ms", f"{row.seconds * 1e3:.1f} ms", f"{row.seconds / floor:.2f}", step
    return [row.work, str(row.rounds), *sizes, *times]


def table(found: dict) -> str:
    """One link's measurements as Markdown."""
    link = Link(**found["link"])
    heads = ["work", "rounds", "bytes", "busiest party", "floor", "time", "time / floor", "a batch"]
    lines = [heads, ["---"] * len(heads), *(cells(Found(**row), link) for row in found["rows"])]
    measured = f"**{link.name}** ({found['how']}; measured: {said(found['measured'])}):\n\n"
    return measured + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def beside_peer(found: list[dict]) -> str:
    """Sequential rounds of a batch of logistic regression beside the peer's; empty where it was not measured.

    They are the same over every link.
    """
    for row in found[0]["rows"]:
        if row["name"] == "lr":
            ours = row["rounds"] / row["steps"]
            ratio = ours / PEER_ROUNDS
            return (
                f"Logistic regression: {ours:.1f} rounds a batch beside {PEER_ROUNDS} of SPU, a ratio of "
                f"{ratio:.3f} (at most {PEER_RATIO}{'' if ratio <= PEER_RATIO else ', **missed**'})"
            )
    return ""


def write(text: str) -> None:
    """Put the measurements into README.md, between the marks."""
    readme = ROOT / "benchmarks" / "README.md"
    head, rest = readme.read_text(encoding="utf-8").split(MARKS[0], 1)
    _, tail = rest.split(MARKS[1], 1)
    readme.write_text(f"{head}{MARKS[0]}\n{text}\n{MARKS[1]}{tail}", encoding="utf-8")


def stop(*_: object) -> NoReturn:
    raise SystemExit(143)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--links", default=",".join(LINKS), help="separated by commas: " + ", ".join(LINKS))
    parser.add_argument("--only", default=",".join(NAMES), help="rows, separated by commas: " + ", ".join(NAMES))
    parser.add_argument("--reps", type=int, default=3, help="the median of so many runs")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "wan.json")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    parser.add_argument("--drive", help=argparse.SUPPRESS)
    a = parser.parse_args()
    links, names = a.links.split(","), a.only.split(",")
    if unknown := (set(links) - set(LINKS)) | (set(names) - set(NAMES)):
        parser.error(f"no {', '.join(sorted(unknown))}; links: {', '.join(LINKS)}; rows: {', '.join(NAMES)}")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if a.drive:
        drive(a.drive, names, a.reps)
        return 0
    signal.signal(signal.SIGTERM, stop)
    try:
        found = [over(kind, names, a.reps) for kind in links]
    except netns.Unavailable as error:
        print(f"bench-wan: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    date = time.strftime("%Y-%m-%d")
    text = (
        "\n\n".join([f"\nMeasured {date}, `--reps {a.reps}`.", *map(table, found), beside_peer(found)]).rstrip() + "\n"
    )
    print(text)
    a.out.parent.mkdir(exist_ok=True)
    a.out.write_text(json.dumps({"date": date, "peer_rounds": PEER_ROUNDS, "links": found}, indent=1))
    print(f"written to {a.out.relative_to(ROOT) if a.out.is_relative_to(ROOT) else a.out}")
    if a.write:
        write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
