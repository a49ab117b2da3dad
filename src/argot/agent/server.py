"""The agent: one event loop that owns all state, and a thread for every node that runs.

    messages of driver and peers --> inbox --> the loop --> threads that run nodes --> the loop --> answers

The loop never waits for anything but its queue, and no other thread touches jobs, lanes or objects.
"""

from __future__ import annotations

import queue
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from .._core import ring
from ..config import AgentConfig, Limits, User
from ..devices import codec
from ..devices.schema import walk
from ..errors import ArgotError, InputError, PartyLost, PermissionRefused
from . import failures, saved, wire
from .context import Context
from .job import Job, Run
from .journal import Journal
from .logs import Logs
from .nodes import Nodes
from .policy import Policy
from .wire import CONTROL, VERSION, Message

SWITCH = 5e-4
"""Seconds after which a thread gives way to another: ten times as often as Python does by itself, since a run that has
heard from a peer would wait so long for the interpreter in every round beside other nodes or a user's function."""

IDLE_SECONDS = 2.0
"""After which memory of large arrays that nobody has asked for is given back."""


def prepare_process() -> None:
    """What holds for the whole process of an agent."""
    sys.setswitchinterval(SWITCH)
    ring.map_large_blocks()


class Agent:
    """One party's agent.

    Args:
        name: the party.
        link: an open link on which peers and drivers are known.
        directory: where logs, journal and saved objects go.
        secret: 32 bytes from which the keys of saved objects are derived.
        policy: what this agent agrees to.
        drivers: link name of every client -> its user (None: an embedded driver, which acts for all).
        config: of a deployed agent.
        embedded: stop when the driver or a peer is gone.
    """

    def __init__(
        self,
        name: str,
        link: Any,
        directory: Path,
        secret: bytes,
        make_policy: Callable[[Journal], Policy],
        drivers: dict[str, User | None],
        config: AgentConfig | None = None,
        embedded: bool = False,
    ) -> None:
        self.name, self.link, self.directory, self.secret = name, link, directory, secret
        self.drivers, self.config, self.embedded = drivers, config, embedded
        self.journal = Journal(directory)
        self.logs = Logs(directory, name)
        self.policy = make_policy(self.journal)
        self.jobs: dict[bytes, Job] = {}
        self.events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.nodes = Nodes(self)
        self._inbox = link.open(CONTROL)
        self._stopping = False

    def run(self) -> None:
        """Serve until `stop`."""
        threading.Thread(target=self._listen, name="control", daemon=True).start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        self.logs.info("started", address=self.link.address, embedded=self.embedded)
        while not self._stopping:
            event = self.events.get()
            try:
                event()
            except Exception as error:  # a fault of ours in one message must not end the work of everybody
                ref = failures.reference()
                self.logs.error(ref, failures.full_text(error))
                self.logs.info("fault", reference=ref, kind=failures.kind(error))
        self.logs.info("stopped")
        for job in self.jobs.values():
            job.close()
        self._inbox.close()
        self.journal.close()
        self.logs.close()

    def stop(self) -> None:
        """End the loop; may be called from any thread."""

        def end() -> None:
            self._stopping = True

        self.events.put(end)

    def _listen(self) -> None:
        """Messages from the link to the loop."""
        while not self._stopping:
            try:
                taken = self._inbox.take(1.0)
            except (OSError, RuntimeError, ArgotError):
                return
            for peer, data in taken:
                self.events.put(lambda peer=peer, data=data: self._receive(peer, data))  # type: ignore[misc]

    def _watch(self) -> None:
        """Events of the link to the log; memory that nobody has used for a while to the system."""
        while not self._stopping:
            ring.trim(IDLE_SECONDS)
            try:
                events = self.link.watch(1.0)
            except (OSError, RuntimeError, ArgotError):
                return
            for kind, peer, detail in events:
                self.logs.info(f"link {kind}", peer=peer, detail=str(detail or ""))

    def _receive(self, peer: str, data: bytes | None) -> None:
        if data is None:
            self.lost(peer)
            return
        try:
            message = wire.unpack(data)
        except msgspec.MsgspecError as error:
            self.logs.info("refused message", peer=peer, size=len(data))
            self.logs.error(failures.reference(), f"from {peer}: {error}")
            return
        if peer in self.drivers:
            self._from_driver(peer, message)
        else:
            self.nodes.from_peer(peer, message)

    def _from_driver(self, driver: str, message: Message) -> None:
        if isinstance(message, wire.Hello):
            self._hello(driver, message)
            return
        job = self.jobs.get(getattr(message, "job", b""))
        if job is None or job.driver != driver:
            self.logs.info("refused message", peer=driver, kind=type(message).__name__)
            if isinstance(message, wire.Submit | wire.Fetch | wire.Query):
                self.tell(driver, wire.Ended(message.job))
            return
        match message:
            case wire.Submit():
                self.nodes.submit(job, message.node)
            case wire.Fetch():
                self._answer(job, message.request, lambda: self._fetch(job, message))
            case wire.Query():
                self._answer(job, message.request, lambda: self._query(job, message))
            case wire.Drop():
                job.objects.drop(message.objects)
            case wire.Bye():
                self._end(job)
                if self.embedded:
                    self.stop()

    def _hello(self, driver: str, message: wire.Hello) -> None:
        user = self.drivers[driver]
        acts = user is None or user.party == self.name
        limits = self.config.limits if self.config else Limits()
        if (
            message.job not in self.jobs
            and sum(job.driver == driver for job in self.jobs.values()) < limits.jobs_per_user
        ):
            self.jobs[message.job] = Job(message.job, driver, user, acts, limits.functions)
            self.logs.info("job", job=message.job.hex(), driver=driver)
        job = self.jobs.get(message.job)
        if job is not None and job.driver == driver:
            acts_for = (self.name,) if acts else ()
            self.tell(driver, wire.Welcome(VERSION, self.name, acts_for, self.policy.code))

    def tell(self, peer: str, message: Message) -> bool:
        """Send on the control session; False if the peer is not there."""
        try:
            self.link.send(peer, CONTROL, [wire.pack(message)])
        except (OSError, RuntimeError, ArgotError) as error:
            self.logs.info("send failed", peer=peer, kind=type(error).__name__)
            return False
        return True

    def later(self, seconds: float, event: Callable[[], None]) -> None:
        """Do something in the loop after a while."""
        timer = threading.Timer(seconds, lambda: self.events.put(event))
        timer.daemon = True
        timer.start()

    def lost(self, party: str) -> None:
        """A peer or a driver is gone."""
        self.logs.info("lost", peer=party)
        if party in self.drivers:
            for job in [job for job in self.jobs.values() if job.driver == party]:
                self._end(job)
        else:
            for job in self.jobs.values():
                self.nodes.lost(job, party)
                self.tell(job.driver, wire.Lost(job.id, party))
        if self.embedded:
            threading.Timer(0.0 if party in self.drivers else 1.0, self.stop).start()

    def _end(self, job: Job) -> None:
        self.nodes.abandon(job, PartyLost("the driver ended the job", party=job.driver))
        job.close()
        self.jobs.pop(job.id, None)
        self.logs.info("job ended", job=job.id.hex())

    def context(self, job: Job, run: Run) -> Context:
        """What the operation of a run gets to work with."""
        number = run.node.number
        return Context(
            node=run.node,
            me=self.name,
            link=self.link,
            directory=self.directory,
            secret=self.secret,
            journal=self.journal,
            config=self.config,
            code=self.policy.code,
            inputs=run.inputs,
            sessions=job.sessions,
            report=lambda done, total: self.tell(job.driver, wire.Progress(job.id, number, done, total)),
        )

    def _answer(self, job: Job, request: int, compute: Callable[[], bytes]) -> None:
        try:
            answer = wire.Answer(job.id, request, None, compute())
        except Exception as error:
            ref = failures.reference()
            self.logs.error(ref, failures.full_text(error))
            told = failures.crossing(error, party=self.name, node="", where="", title="", ref=ref)
            failure = failures.with_detail(told, error) if job.acts_for_me else told
            answer = wire.Answer(job.id, request, failure)
        self.tell(job.driver, answer)

    def _fetch(self, job: Job, message: wire.Fetch) -> bytes:
        """A value of this party, for a driver that acts for it."""
        if not job.acts_for_me:
            raise failures.public(
                PermissionRefused(
                    f"the driver does not act for {self.name}", wanted="a user of that party", party=self.name
                )
            )
        entry = job.objects.get(message.object)
        if entry.state != "ready" or entry.visibility != "private":
            raise failures.public(InputError(f"{message.object} is no value of {self.name} that is there"))
        value = walk(entry.value, message.path)
        self.journal.write("fetched", job.id, -1, object=message.object, driver=job.driver)
        return b"".join(bytes(part) for part in codec.encode(value))

    def _query(self, job: Job, message: wire.Query) -> bytes:
        match message.what:
            case "log":
                found: Any = self.journal.of_job(job.id)
            case "usage":
                found = {"peak_memory": _peak_memory()}
            case "trace":
                found = job.spans()
            case "saved" | "saved value":
                self.policy.check_saved(message.name, job.user, job.driver)
                kind: saved.Kind = "share" if message.what == "saved" else "value"
                found = saved.read(self.directory, self.secret, kind, message.name).header
            case _:
                raise failures.public(InputError(f"no question {message.what!r}", wanted="log, usage, trace or saved"))
        return msgspec.msgpack.encode(found)


def _peak_memory() -> int:
    """Bytes that this process held at most. Where the kernel tells it of this program alone: `getrusage` counts what
    the process was before it became this program as well, which is as large as the driver that started it.
    """
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else []:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
