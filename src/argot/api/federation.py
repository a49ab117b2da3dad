"""A federation: some parties' agents, as one driver sees them."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path as File
from types import TracebackType
from typing import Any, Literal

from ..agent import wire
from ..config import check_name
from ..devices import codec, mpc
from ..devices.schema import Path
from ..errors import ConfigError, PermissionRefused, ProgramError, UnknownNameError
from ..graph.graph import Call, Graph, Lowered, Product, Record
from ..graph.node import DeviceSpec, Kind
from ..runtime.link import Link
from ..vm.lower import GENERAL_FUNCTIONS
from . import moves
from .client import Client
from .explain import Explanation, explain, over_link, weigh
from .handles import Handle
from .places import MpcDevice, Party
from .protocols import fitting, hiding, reason
from .report import Report, make_report
from .trace import write_trace


class Federation:
    """Made by `argot.local` or `argot.connect`; a context manager.

    `fed.parties` are all parties in order, `fed["alice"]` is one of them.
    """

    def __init__(
        self,
        client: Client,
        names: Sequence[str],
        embedded: bool,
        shut_down: Callable[[], None],
    ) -> None:
        self.client, self.embedded = client, embedded
        self.parties = tuple(Party(self, name) for name in names)
        self._by_name = {party.name: party for party in self.parties}
        self._devices: dict[str, MpcDevice] = {}
        self._specs: dict[str, DeviceSpec] = {}
        self._shut_down = weakref.finalize(self, _finish, client, shut_down, os.getpid())
        self._holders: dict[str, int] = {}

    # Places.

    def __getitem__(self, name: str) -> Party:
        """The party of that name. UnknownNameError lists those there are."""
        found = self._by_name.get(name)
        if found is None:
            raise UnknownNameError(f"party {name!r}", wanted=f"one of {', '.join(self._by_name)}")
        return found

    def mpc(
        self,
        *parties: Party | str,
        protocol: str = "aby3",
        dealer: Party | str | None = None,
        adversary: str = "semi-honest",
        ring: int = 64,
        fraction_bits: int | None = None,
        name: str | None = None,
        link: Link | None = None,
        check: Literal["plain"] | None = None,
        general: Iterable[str] = (),
    ) -> MpcDevice:
        """A device on which these parties compute on secret shares.

        Args:
            parties: in the order of their ranks.
            protocol: a file of `argot/mpc`, such as "aby3"; `argot.protocols()` lists them. "auto" takes the one that
                fits the parties, the dealer and the adversary, of several the fastest over the link, for which it
                waits; and prints why.
            dealer: a further party that computes nothing and hands out what is random, for "semi2k". It learns nothing
                by itself, and is trusted not to join what it has with what a party sees; the report says so.
            adversary: whom "auto" shall be safe against: "semi-honest" parties, who follow the program. There is no
                protocol against "malicious" ones yet.
            ring: 32, 64 or 128 bits. `argot.errors.RangeWarning` says where numbers may need more.
            fraction_bits: bits after the binary point of fixed-point numbers; by default 8, 18 or 40, by the ring.
            name: for reports; made up if not given.
            link: the network between the parties, by which operations choose among their forms; measured when the
                device is opened if not given.
            check: "plain" repeats every call in the clear, and raises ClearMismatch with the user's line where the two
                go apart. Inputs and results are revealed for that, and calls wait: for tests of a federation that
                `argot.local` started, and refused in any other.
            general: functions, such as "sigmoid", that shall be computed in the way that is written once for all
                protocols, where the protocol has its own: other errors for other bytes, as
                `docs/reference/accuracy.md` has them.

        Raises:
            UnknownNameError: the protocol, a party, or a function of `general` does not exist.
            ConfigError: not the protocol's number of parties, not so many fraction bits in the ring, a link that
                none is like, or a check that is not possible.
        """
        if check not in (None, "plain"):
            raise ConfigError(f"check={check!r}", wanted='"plain", or None')
        if check is not None and not self.embedded:
            raise ConfigError(
                'check="plain" reveals all inputs',
                wanted="a federation of argot.local",
                todo="check there, on other data",
            )
        names = tuple(self.name_of(party) for party in (*parties, *(() if dealer is None else (dealer,))))
        if len(set(names)) != len(names):
            raise ConfigError(f"a device of {', '.join(names)}", wanted="each party once")
        fit = fitting(len(parties), dealer is not None, adversary) if protocol == "auto" else None
        protocol = protocol if fit is None else next(iter(fit))
        if protocol not in hiding():
            raise UnknownNameError(f"protocol {protocol!r}", wanted=f"one of {', '.join(hiding())}, or auto")
        chosen = frozenset([general] if isinstance(general, str) else general)
        if unknown := sorted(chosen - set(GENERAL_FUNCTIONS)):
            raise UnknownNameError(f"general={unknown}", wanted=f"some of {', '.join(GENERAL_FUNCTIONS)}")
        bits, fraction = mpc.number_model(ring, fraction_bits)
        mpc.check(protocol, len(names), bits, fraction, dealer is not None)
        name = check_name(name or self._fresh_name("mpc"), "device")
        if name in self._specs or name in self._by_name:
            raise ConfigError(f"the device {name!r} exists already", todo="give it another name")
        known = None if link is None else link.checked()
        spec = DeviceSpec("mpc", name, names, protocol, bits, fraction, link=known, dealer=dealer is not None)
        device = MpcDevice(self, spec, self._open(spec), check, chosen)
        self._devices[name] = device
        if fit is None:
            return device
        seconds = weigh(device, fit) if len(fit) > 1 else {protocol: 0.0}
        best = min(seconds, key=seconds.__getitem__)
        print(
            reason(best, fit[best], len(parties), dealer is not None, adversary), *over_link(device, seconds), sep="; "
        )
        if best == protocol:
            return device
        options: dict[str, Any] = {"ring": bits, "fraction_bits": fraction, "check": check, "general": general}
        return self.mpc(*parties, protocol=best, dealer=dealer, name=f"{name}-{best}", link=device.link, **options)

    def seat(self, protocol: str, **options: Any) -> MpcDevice:
        """The device of a protocol on this federation's parties in their order: as many as it needs to compute, and
        of a protocol named with "+dealer" the next one as dealer. `options` and errors are those of `mpc`."""
        name, dealt, _ = protocol.partition("+dealer")
        if name not in hiding():
            return self.mpc(protocol=name, **options)  # says which there are
        everybody, computing = self.parties, hiding()[name].parties
        dealer = everybody[computing] if dealt and len(everybody) > computing else None
        return self.mpc(*everybody[:computing], protocol=name, dealer=dealer, **options)

    def place(self, name: str) -> Party | MpcDevice:
        return self._devices.get(name) or self[name]

    def name_of(self, party: Party | str) -> str:
        if isinstance(party, Party):
            if party.federation is not self:
                raise ConfigError(f"{party!r} belongs to another federation")
            return party.name
        return self[party].name

    def _fresh_name(self, kind: str) -> str:
        number = 1 + sum(spec.kind == kind for spec in self._specs.values())
        return kind if number == 1 else f"{kind}{number}"

    def _open(self, spec: DeviceSpec) -> Record:
        """A device of several parties; its first node sets up keys."""
        self._specs[spec.name] = spec
        return self.record(Call(spec, "open", spec.name, lambda _: Lowered(b"")))

    def shared(self, kind: Kind, parties: tuple[str, ...]) -> DeviceSpec:
        """The device for moves between these parties, made when first needed."""
        for spec in self._specs.values():
            if spec.kind == kind and spec.parties == parties:
                return spec
        return self._open(DeviceSpec(kind, self._fresh_name(kind), parties)).device

    def outside(self, device: DeviceSpec, name: str) -> DeviceSpec:
        """The device for moves between an MPC device and a party that is none of its members."""
        for spec in self._specs.values():
            if spec.kind == "outside" and spec.of == device.name and spec.parties[-1] == name:
                return spec
        s = device
        return self._open(
            DeviceSpec(
                "outside",
                f"{s.name}+{name}",
                (*s.parties, name),
                s.protocol,
                s.ring,
                s.fraction_bits,
                dealer=s.dealer,
                of=s.name,
            )
        ).device

    # Calls.

    def record(self, call: Call) -> Record:
        """Put a call into the graph."""
        if self.client.closed:
            raise ProgramError("the federation is closed", todo="open another with argot.local or argot.connect")
        where = _caller()
        return self.client.add(lambda number: call.record(number, where))

    def submit(self, call: Call) -> list[Handle]:
        """Put a call into the graph; one handle for every owner of an output."""
        return [Handle(self, product) for product in self.record(call).products]

    def reveal(self, handle: Handle, to: Party | str) -> Handle:
        """A node that gives the value to party `to`, and to nobody else. See `argot.reveal`."""
        return moves.reveal(self, handle, self.name_of(to))

    def psi(
        self,
        left: Handle,
        right: Handle,
        on: str | Sequence[str] | None = None,
        *,
        left_on: str | Sequence[str] | None = None,
        right_on: str | Sequence[str] | None = None,
        helper: Party | str | None = None,
        allow_empty: bool = False,
    ) -> tuple[Handle, Handle]:
        """Join two owners' tables by private set intersection.

        Args:
            left, right: tables of two parties.
            on: the key column, or columns; `left_on` and `right_on` where their names differ.
            helper: a third party that is told the size of the intersection (and nothing else).
            allow_empty: without it, an empty intersection is an InputError.

        Returns: both owners' rows of the intersection as tables, row i of one belonging to row i of the other.
        Both owners learn which of their rows are in it, and the size of the other's table.
        """
        others = () if helper is None else (self.name_of(helper),)
        return moves.psi(self, left, right, _names(left_on or on), _names(right_on or on), others, allow_empty)

    def save(self, handle: Handle, name: str) -> None:
        """Keep a value beyond the job: each party of a device its share, or the owner its value, encrypted with its
        own key. Waits until it is written."""
        moves.save(self, handle, name)

    def load(self, place: MpcDevice | Party, name: str) -> Handle:
        """What `save` kept under this name: by a device of the same parties, protocol and ring, or by this party."""
        return moves.load(self, place, name)

    def delete(self, place: MpcDevice | Party, name: str) -> None:
        """Forget what `save` kept under this name."""
        moves.delete(self, place, name)

    # Values.

    def wait_for(
        self, record: Record, schema: Product | None = None, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Wait until a record has run, or until the schema of a product is known. Raises what it failed with.

        `progress` is called with (done, in all) whenever an agent has told how far it is.
        """
        client = self.client

        def settled() -> bool:
            known = schema is not None and schema.schema is not None
            return known or record.state in ("ready", "failed") or client.closed

        told: list[tuple[int, int]] = []

        def news() -> bool:
            now = client.progress.get(record.number)
            return progress is not None and now is not None and now not in told[-1:]

        client.wait(lambda: settled() or news())
        while progress is not None and news():
            told.append(client.progress[record.number])
            progress(*told[-1])
            client.wait(lambda: settled() or news())
        if record.state == "failed" and record.failure is not None:
            raise record.failure.with_traceback(None)
        if record.state != "ready" and not (schema is not None and schema.schema is not None):
            raise ProgramError("the federation was closed before the value was there", node=record.name)

    def wait(self, *handles: Handle) -> None:
        """Wait for several handles; raises the first failure in their order."""
        for handle in handles:
            handle.wait()

    def fetch(self, product: Product, path: Path) -> Any:
        """A value of a party that the driver acts for. PermissionRefused otherwise."""
        if product.owner not in self.client.acts_for:
            raise PermissionRefused(
                f"the driver does not act for {product.owner}",
                wanted=f"a party out of {', '.join(sorted(self.client.acts_for)) or '(none)'}",
                todo="reveal the value to a party that the driver acts for",
                party=product.owner,
            )
        client = self.client
        data = client.ask(
            product.owner, lambda request: wire.Fetch(client.job, request, product.object, path), timeout=600.0
        )
        client.fetched.append((product.owner, product.object, product.record.number))
        return codec.decode(data)

    def hold(self, handle: Handle, product: Product) -> None:
        """Count the handles of an object; the agents drop it after the last."""
        self._holders[product.object] = self._holders.get(product.object, 0) + 1
        weakref.finalize(handle, _released, weakref.ref(self), product).atexit = False

    def released(self, product: Product) -> None:
        self._holders[product.object] -= 1
        if self._holders[product.object] == 0 and not self.client.closed:
            self.client.drop(product.record.device.parties, product.object)

    # The whole.

    @property
    def graph(self) -> Graph:
        """Every call so far."""
        return self.client.execution.graph

    def report(self) -> Report:
        """What it cost and who learned what, checked against the agents' own journals."""
        return make_report(self)

    def explain(
        self, what: Callable[..., Any] | Handle, /, *args: Any, links: Mapping[str, Link] | None = None, **kwargs: Any
    ) -> Explanation:
        """What a function on a device costs, by lines of the user: rounds, bytes, and times over some networks.

        Args:
            what: a function decorated with `@argot.device(mpc)`, which does not run, and its arguments; or the handle
                of a call, which is waited for: the estimate then stands beside what was measured.
            args, kwargs: as for a call; `argot.spec(shape, dtype)` in the place of a handle stands for a secret.
            links: networks by name, instead of `argot.api.explain.LINKS`: `{"ours": argot.Link(1e9, 0.002)}`.

        Raises what tracing the function raises. It takes about as long as every different equation takes once.
        """
        return explain(self, what, args, kwargs, links)

    def trace(self, file: File | str) -> File:
        """Write when every node, and every equation of its program, ran at each party, in Chrome's format: for
        https://ui.perfetto.dev. Agents remember the last 50,000 spans of a job."""
        return write_trace(self, File(file))

    def close(self) -> None:
        """End the job; embedded agents stop. Safe to call twice."""
        self._shut_down()

    def __enter__(self) -> Federation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        mode = "embedded" if self.embedded else "deployed"
        return f"Federation({', '.join(self._by_name)}; {mode}, {len(self.graph)} nodes)"


def _finish(client: Client, shut_down: Callable[[], None], process: int) -> None:
    if os.getpid() != process:  # a forked child that ends: agents, threads and files are its parent's
        return
    client.close(ProgramError("the federation was closed"))
    shut_down()


def _released(federation: weakref.ref[Federation], product: Product) -> None:
    found = federation()
    if found is not None:
        found.released(product)


def _names(on: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if on is None else (on,) if isinstance(on, str) else tuple(on)


_LIBRARY = tuple(
    str(File(__file__).parent.parent / name)
    for name in ("api", "agent", "graph", "devices", "frame", "linear", "preprocessing", "stats")
)


def _caller() -> str:
    """file:line of the first frame outside of the library: the user's line."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_LIBRARY):
        frame = frame.f_back
    return f"{File(frame.f_code.co_filename).name}:{frame.f_lineno}"
