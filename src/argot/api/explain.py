"""`fed.explain`: what a function on a device costs, line by line; before it runs, and beside what it cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ..devices import plain
from ..devices.schema import Tensor
from ..errors import InputError
from ..graph.graph import Product, Ref
from ..mpc.few import few
from ..runtime.link import Link
from ..vm.estimate import Estimate, estimate
from ..vm.ir import SECRET, Program
from ..vm.overflow import Overflow, overflows
from .calls import slots, title
from .handles import Handle
from .places import MpcDevice
from .report import LineCost, html_table, in_bytes, in_seconds, line_costs, text_table
from .tracing import lower

if TYPE_CHECKING:
    from ..graph.node import DeviceSpec
    from .federation import Federation

LINKS = {
    "10 Gbit/s, 0.1 ms": Link(10e9, 0.05e-3),
    "1 Gbit/s, 1 ms": Link(1e9, 0.5e-3),
    "100 Mbit/s, 40 ms": Link(100e6, 20e-3),
}
"""Networks for which a time is estimated, by bandwidth and the time there and back."""

OPERATIONS = 4  # names that a line of the table shows


@dataclass(frozen=True)
class Explanation:
    """What `fed.explain` returns; prints as a table, shows as HTML in notebooks, and `to_dict()` for machines.

    Attributes:
        title: name of the function.
        device: where it runs.
        program: what runs; `print(explanation.program)` shows its equations.
        estimate: what it will cost, exact in bytes.
        overflows: values that may leave what the ring holds.
        link: between the parties of the device.
        few: elements up to which truncations take the form with fewer rounds there.
        links: networks to estimate times for, with the forms that are taken on the device's.
        measured: what each line has cost, if it has run.
    """

    title: str
    device: str
    program: Program
    estimate: Estimate
    overflows: tuple[Overflow, ...]
    link: Link
    few: int
    links: Mapping[str, Link]
    measured: tuple[LineCost, ...] = ()

    def seconds(self, link: Link) -> float:
        """At the least, over such a network: work, and rounds and bytes that do not overlap with it."""
        return link.seconds(self.estimate.rounds, max(self.estimate.sent), self.estimate.seconds)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows, one for each line; with what was measured, if it has run."""
        head = ["line", "operations", "calls", "rounds", "bytes", "work"]
        measured = {line.where: line for line in self.measured}
        if measured:
            head += ["measured: rounds", "bytes", "seconds"]
        rows = []
        for line in self.estimate.lines:
            names = ", ".join(line.operations[:OPERATIONS]) + (", ..." if len(line.operations) > OPERATIONS else "")
            row = [line.where or "-", names, str(line.calls), str(line.rounds), in_bytes(line.bytes)]
            row.append(in_seconds(line.seconds))
            if measured:
                found = measured.get(line.where)
                row += [str(found.rounds), in_bytes(found.bytes), in_seconds(found.seconds)] if found else ["-"] * 3
            rows.append(row)
        return head, rows

    def summary(self) -> str:
        """Totals, and times over the networks."""
        times = "; ".join(f"{name}: {in_seconds(self.seconds(link))} s" for name, link in self.links.items())
        text = (
            f"{self.title} on {self.device}: {self.estimate.rounds} rounds, {in_bytes(self.estimate.bytes)}, "
            f"{in_seconds(self.estimate.seconds)} s of work at each party.\nAt least {times}."
        )
        text += f"\nLink of the device: {self.link}; truncations of up to {self.few:,} elements take fewer rounds."
        if self.estimate.endless:
            text += f"\nOf `while` loops one round is counted: {', '.join(self.estimate.endless)}."
        return "\n".join([text, *(f"May overflow: {found}" for found in self.overflows)])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain lists, dicts, numbers and text."""
        return {
            "title": self.title,
            "device": self.device,
            **asdict(self.estimate),
            "bytes": self.estimate.bytes,
            "overflows": [asdict(found) for found in self.overflows],
            "link": asdict(self.link),
            "few": self.few,
            "seconds_on": {name: self.seconds(link) for name, link in self.links.items()},
            "measured": [asdict(line) for line in self.measured],
        }

    def __str__(self) -> str:
        return text_table(self.summary(), *self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(self.summary(), *self.table())


def explain(
    federation: Federation,
    what: Callable[..., Any] | Handle,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    links: Mapping[str, Link] | None,
) -> Explanation:
    """See `Federation.explain`."""
    if isinstance(what, Handle):
        return _of_run(what, links or LINKS)
    place, function, returns = (getattr(what, name, None) for name in ("place", "__wrapped__", "returns"))
    if not isinstance(place, MpcDevice) or function is None or place.federation is not federation:
        raise InputError(
            f"{getattr(what, '__name__', what)!s} is no function on an MPC device of this federation",
            wanted="a function decorated with @argot.device(mpc), or the handle of a call of one",
        )
    found: list[Any] = []
    frozen = plain.freeze(function, slots((args, kwargs), found, function, (Handle, Tensor)))
    refs = [_ref(value, place.spec) for value in found]
    program = lower(frozen, title(function), refs, place.spec, returns, place.general).program
    return _explained(title(function), program, place, links or LINKS)


WEIGHED = 10_000
"""Products and comparisons of as many numbers stand for a program that is not known yet."""


def weigh(place: MpcDevice, protocols: Iterable[str]) -> dict[str, float]:
    """Seconds that the rounds and bytes of a product, a comparison and a choice of `WEIGHED` numbers take over the link
    of a device, under each of these protocols on its parties. Waits until the device is open."""

    def sample(x: Any, y: Any) -> Any:
        import jax.numpy as jnp

        return jnp.where(x < y, x * y, x)

    secret, link, found = Tensor("float64", (WEIGHED,)), place.link, {}
    for name in protocols:
        device = msgspec.structs.replace(place.spec, protocol=name)
        refs = [_ref(secret, device), _ref(secret, device)]
        arguments = plain.freeze(sample, slots(((secret, secret), {}), [], sample, (Handle, Tensor)))
        program = lower(arguments, "sample", refs, device, None).program
        costs = estimate(program, device.form(), device.ring, device.fraction_bits, link)
        found[name] = link.seconds(costs.rounds, max(costs.sent), 0.0)
    return found


def over_link(place: MpcDevice, seconds: Mapping[str, float]) -> list[str]:
    """What `weigh` has found, in words; nothing of one protocol."""
    if len(seconds) == 1:
        return []
    ranked = sorted(seconds.items(), key=lambda item: item[1])
    times = ", ".join(f"{name} {in_seconds(found)} s" for name, found in ranked)
    return [f"on {place.link} what products and comparisons of {WEIGHED:,} send takes {times}"]


def _of_run(handle: Handle, links: Mapping[str, Link]) -> Explanation:
    """Of a call that has been made: its estimate beside what it cost."""
    handle.wait()
    record = handle.ref.product.record
    if record.program is None:
        raise InputError(f"{record.name} runs in the clear", wanted="the handle of a call on an MPC device")
    place = handle.federation.place(record.device.name)
    assert isinstance(place, MpcDevice)  # what has a program ran on one
    return _explained(record.title, record.program, place, links, tuple(line_costs(record)))


def _explained(
    title: str, program: Program, place: MpcDevice, links: Mapping[str, Link], measured: tuple[LineCost, ...] = ()
) -> Explanation:
    device, link = place.spec, place.link
    ring, fraction_bits = device.ring, device.fraction_bits
    costs = estimate(program, device.form(), ring, fraction_bits, link)
    found = tuple(overflows(program, ring, fraction_bits))
    return Explanation(title, device.name, program, costs, found, link, few(link, fraction_bits), links, measured)


def _ref(value: Handle | Tensor, device: DeviceSpec) -> Ref:
    """What a handle refers to, once its schema is known; of a schema a secret value that looks like it."""
    if isinstance(value, Handle):
        assert value.schema is not None  # waits for it
        return value.ref
    return Ref(Product("", None, device.name, "secret", schema=value, leaves=(SECRET,)))  # type: ignore[arg-type]
