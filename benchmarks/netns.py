"""A network of Linux network namespaces that are joined by links of a given rate and round trip.

    with Network(("alice", "bob"), Link("100 Mbit/s, 40 ms", 100e6, 0.040)) as network:
        network.start("alice", [sys.executable, "server.py"])  # in alice's namespace; ended with the network
        network.address["alice"]                               # "10.77.0.1", which exists in these namespaces only

Each namespace has one interface, `wan0`. It leads to a switch in a namespace of its own; none leads out. There are two
kinds of switch, and `network.how` says which it is:

* **The kernel's**: a bridge with a veth pair to each namespace. tc's `netem` delays what leaves a namespace by half a
  round trip, `tbf` limits the rate both ways. Without netem this is used for links whose
  round trip is at most `PATH`, the path's own, and delays nothing.
* **In user space**, for longer round trips on kernels without netem: `switch.py` delays frames, `tbf` limits the rate
  on the way to it, and the switch itself the rate from it.

It needs root, `ip`, `tc`, and in the second case /dev/net/tun.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

SWITCH = Path(__file__).parent / "switch.py"
PATH = 1e-4
"""Seconds there and back between two processes through veth pairs and a bridge, in round figures."""
SEGMENT = 70_000
"""Bytes: tbf lets what is at most its burst through whole, so this is more than TCP's largest segment."""


class Unavailable(Exception):
    """This machine or user cannot have such a network; says what is missing."""


@dataclass(frozen=True)
class Link:
    """What joins each namespace to the switch.

    Attributes:
        name: for people.
        rate: bits a second, each way.
        round_trip: seconds there and back between two namespaces.
    """

    name: str
    rate: float
    round_trip: float


class Network:
    """A context manager. Raises Unavailable where namespaces or the shaping are missing.

    Attributes:
        address: of each namespace, by its name.
        how: the kind of switch, for people.
    """

    def __init__(self, names: tuple[str, ...], link: Link) -> None:
        self.names, self.link, self.how = names, link, ""
        self.address = {name: f"10.77.0.{i}" for i, name in enumerate(names, 1)}
        self._prefix = f"argot-wan-{os.getpid()}"
        self._made: list[str] = []
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        check()
        try:
            for name in ("switch", *self.names):
                self._made.append(self._space(name))
                run("ip", "netns", "add", self._space(name))
            netem = self._has_netem()
            if netem or self.link.round_trip <= PATH:
                self._join_by_bridge(netem)
            else:
                self._join_in_user_space()
            for name in self.names:
                self._ip(name, "address", "add", f"{self.address[name]}/24", "dev", "wan0")
                for device in ("lo", "wan0"):
                    self._ip(name, "link", "set", "dev", device, "up")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def start(self, name: str, command: list[str], **options: Any) -> subprocess.Popen[str]:
        """A process in a namespace, its output a pipe of text. The network ends it; a Ctrl-C does not reach it."""
        inside = ["ip", "netns", "exec", self._space(name), *command]
        process = subprocess.Popen(inside, stdout=subprocess.PIPE, text=True, start_new_session=True, **options)
        self._started.append(process)
        return process

    def _join_by_bridge(self, netem: bool) -> None:
        self.how = f"kernel: veth, bridge, tbf, {'netem' if netem else 'no delay added'}"
        self._ip("switch", "link", "add", "name", "bridge0", "type", "bridge")
        self._ip("switch", "link", "set", "dev", "bridge0", "up")
        for i, name in enumerate(self.names):
            there = ("peer", "name", "wan0", "netns", self._space(name))
            self._ip("switch", "link", "add", "name", f"port{i}", "type", "veth", *there)
            self._ip("switch", "link", "set", "dev", f"port{i}", "master", "bridge0")
            self._ip("switch", "link", "set", "dev", f"port{i}", "up")
            self._limit("switch", f"port{i}")
            if netem:
                self._delay(name)
                self._limit(name, "wan0", "parent", "1:1")
            else:
                self._limit(name, "wan0")

    def _join_in_user_space(self) -> None:
        self.how = "user space: TUN, tbf, benchmarks/switch.py"
        devices = [f"port{i}" for i in range(len(self.names))]
        plan = {"links": devices, "rate": self.link.rate, "delay": self.link.round_trip / 2}
        switch = self.start("switch", [sys.executable, str(SWITCH), json.dumps(plan)], stdin=subprocess.PIPE)
        assert switch.stdout is not None and switch.stdin is not None
        if switch.stdout.readline() != "devices\n":
            raise Unavailable("this kernel has neither netem nor TUN devices (see above)")
        for name, device in zip(self.names, devices, strict=True):
            self._ip("switch", "link", "set", "dev", device, "netns", self._space(name))
            self._ip(name, "link", "set", "dev", device, "name", "wan0", "txqueuelen", "5000")
            self._limit(name, "wan0")
        switch.stdin.write("\n")
        switch.stdin.flush()

    def _has_netem(self) -> bool:
        """Tried on the loopback device of a namespace, which nobody uses."""
        done = subprocess.run(
            ["tc", "-n", self._space("switch"), "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"],
            capture_output=True,
        )
        return done.returncode == 0

    def _delay(self, name: str) -> None:
        delay = f"delay {self.link.round_trip / 2 * 1e6:.0f}us limit 10000"
        place = ("dev", "wan0", "root", "handle", "1:")
        run("tc", "-n", self._space(name), "qdisc", "add", *place, "netem", *delay.split())

    def _limit(self, name: str, device: str, *parent: str) -> None:
        burst = max(SEGMENT, int(self.link.rate / 8 * 1e-4))
        shape = f"tbf rate {self.link.rate:.0f} burst {burst} latency 100ms"
        run("tc", "-n", self._space(name), "qdisc", "add", "dev", device, *(parent or ("root",)), *shape.split())

    def _ip(self, name: str, *arguments: str) -> None:
        run("ip", "-n", self._space(name), *arguments)

    def _space(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _end(self) -> None:
        """End what was started, remove what was made; Ctrl-C and SIGTERM wait until that is done."""
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for process in reversed(self._started):
                process.terminate()
            for process in self._started:
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            for space in self._made:
                subprocess.run(["ip", "netns", "delete", space], capture_output=True)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def check() -> None:
    """Raises Unavailable, which names what is missing."""
    if os.geteuid() != 0:
        raise Unavailable("network namespaces are made by root only")
    for command in ("ip", "tc"):
        if shutil.which(command) is None:
            raise Unavailable(f"no command `{command}`: install iproute2")


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"`{' '.join(command)}` does not work here: {done.stderr.strip()}")
