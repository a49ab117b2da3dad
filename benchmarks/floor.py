"""The floor under every protocol: what one message, and 32 MB, cost over our own link with TLS on this machine.

Two processes on loopback: this one and a child that sends back. Prints a table; `--json` prints one object:
`round_trip_us` (median, and the 10th and 90th percentile, of 1,000 ping-pongs of 64 B), `there_and_back_s` (32 MB
there, then 32 MB back), `both_at_once_s` (32 MB each way at the same time), and the rates they amount to.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import deque
from time import perf_counter
from typing import Any

from argot._core import link
from argot.keys import Identity

SESSION = b"argot benchmark\0"
SMALL, LARGE = 64, 32_000_000
PINGS, BLOCKS = 1000, 7


def connect(me: str, other: str, listen: str | None, tell: Any, hear: Any) -> tuple[Any, Messages]:
    """A link to the other process; the two tell each other fingerprint and address over a pipe."""
    identity = Identity.generate(me)
    here = link.Link(me, identity.certificate, identity.key, listen)
    print(json.dumps([identity.fingerprint, here.address]), file=tell, flush=True)
    fingerprint, address = json.loads(hear.readline())
    inbox = here.open(SESSION)
    here.add_peer(other, Identity.parse(fingerprint), address)
    return here, Messages(inbox)


class Messages:
    """The messages of an inbox one by one; stops the benchmark when the other process is gone."""

    def __init__(self, inbox: Any) -> None:
        self.inbox, self.here = inbox, deque[Any]()

    def next(self) -> Any:
        if not self.here:
            self.here.extend(data for _, data in self.inbox.take(30))
        if not self.here or self.here[0] is None:
            sys.exit("the other process is gone")
        return self.here.popleft()


def answer() -> None:
    """The child: echo, and send its own block at once where one is announced."""
    here, messages = connect("echo", "bench", None, sys.stdout, sys.stdin)
    block = os.urandom(LARGE)
    for _ in range(PINGS):
        here.send("bench", SESSION, [messages.next()])
    for _ in range(BLOCKS):
        here.send("bench", SESSION, [messages.next()])
    for _ in range(BLOCKS):
        messages.next()
        here.send("bench", SESSION, [block])
        messages.next()
        here.send("bench", SESSION, [b"done"])
    here.close()


def measure() -> dict[str, float]:
    """All figures, in seconds unless the name says otherwise."""
    child = subprocess.Popen(
        [sys.executable, __file__, "--answer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    here, messages = connect("bench", "echo", "127.0.0.1:0", child.stdin, child.stdout)
    with here:
        small, block = os.urandom(SMALL), os.urandom(LARGE)
        pings = []
        for _ in range(PINGS):
            start = perf_counter()
            here.send("echo", SESSION, [small])
            messages.next()
            pings.append(perf_counter() - start)
        back = []
        for _ in range(BLOCKS):
            start = perf_counter()
            here.send("echo", SESSION, [block])
            messages.next()
            back.append(perf_counter() - start)
        both = []
        for _ in range(BLOCKS):
            start = perf_counter()
            here.send("echo", SESSION, [b"go"])
            here.send("echo", SESSION, [block])
            messages.next()  # its block
            messages.next()  # its word that it has ours
            both.append(perf_counter() - start)
    child.wait(10)
    deciles = statistics.quantiles(pings, n=10)
    there_and_back, at_once = statistics.median(back), statistics.median(both)
    return {
        "round_trip_us": round(statistics.median(pings) * 1e6, 1),
        "round_trip_p10_us": round(deciles[0] * 1e6, 1),
        "round_trip_p90_us": round(deciles[-1] * 1e6, 1),
        "there_and_back_s": round(there_and_back, 5),
        "one_way_gb_per_s": round(2 * LARGE / there_and_back / 1e9, 2),
        "both_at_once_s": round(at_once, 5),
        "both_ways_gb_per_s": round(2 * LARGE / at_once / 1e9, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        return answer()
    found = measure()
    if options.json:
        return print(json.dumps(found))
    print(f"64 B ping-pong          {found['round_trip_us']:8.1f} us", end="")
    print(f"   (10 %: {found['round_trip_p10_us']}, 90 %: {found['round_trip_p90_us']})")
    print(f"32 MB there and back    {found['there_and_back_s'] * 1e3:8.1f} ms   {found['one_way_gb_per_s']} GB/s")
    print(f"32 MB each way at once  {found['both_at_once_s'] * 1e3:8.1f} ms   {found['both_ways_gb_per_s']} GB/s")


if __name__ == "__main__":
    main()
