"""The driver's end of the control sessions: one thread that owns the graph, and one that listens.

    user's threads --> calls --> the planner --> nodes to the agents
    agents --> the listener --> the planner --> handles wake up

Lowering (tracing) happens in the planner, so a call returns at once.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from ..agent import failures, wire
from ..agent.wire import CONTROL, VERSION, Message
from ..errors import ArgotError, LinkError, PartyLost, PeerRejected, ProgramError
from ..graph.execute import Execution
from ..graph.graph import Record


class Client:
    """A job at some agents.

    Args:
        link: with the agents as peers.
        agents: their names.
        embedded: whether a lost agent ends everything.
    """

    def __init__(self, link: Any, agents: tuple[str, ...], embedded: bool) -> None:
        self.link, self.agents, self.embedded = link, agents, embedded
        self.job = os.urandom(16)
        self.process = os.getpid()
        self.execution = Execution(self.job)
        self.acts_for: set[str] = set()
        self.code: dict[str, str] = {}
        self.fetched: list[tuple[str, str, int]] = []  # owner, object, number of the node that made it
        self.progress: dict[int, tuple[int, int]] = {}  # the farthest that an agent has told, by node
        self.lost: PartyLost | None = None
        self.closed = False
        self.changed = threading.Condition()
        self._requests: dict[int, tuple[str, wire.Answer | None]] = {}
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._inbox = link.open(CONTROL)
        self._threads = [
            threading.Thread(target=self._listen, name="argot-listen", daemon=True),
            threading.Thread(target=self._plan, name="argot-plan", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    # For the user's threads.

    def hello(self, timeout: float) -> None:
        """Open the job at every agent.

        Raises PeerRejected as soon as a certificate is refused, by either side; LinkError names the agents that have
        not answered in time.
        """
        end, again = time.monotonic() + timeout, 0.0
        while len(self.code) < len(self.agents):
            if time.monotonic() >= again:  # a link that begins anew forgets what was under way
                again = time.monotonic() + 1.0
                for agent in set(self.agents) - set(self.code):
                    self._send(agent, wire.Hello(VERSION, self.job))
            if self.wait(lambda: len(self.code) == len(self.agents), 0.1):
                return
            for kind, peer, detail in self.link.watch(0.0):
                if kind == "rejected":
                    raise PeerRejected(
                        f"no connection to {peer or 'an agent'}: {detail}",
                        wanted="keys that both sides have pinned",
                        todo="compare the fingerprints in both configuration files with `argot agent show`",
                        party=peer or None,
                    )
            if time.monotonic() > end:
                silent = [agent for agent in self.agents if agent not in self.code]
                raise LinkError(
                    f"no answer from {', '.join(silent)} in {timeout:g} s",
                    wanted="running agents that list this user",
                    todo="check the addresses, and the log of each agent",
                    party=silent[0],
                )

    def add(self, make: Callable[[int], Record]) -> Record:
        """Make a record with the next number and put it into the graph."""
        self._check_process()
        with self.changed:
            record = make(len(self.execution.graph))
            self.execution.register(record)
        self._events.put(lambda: self.execution.consider(record))
        return record

    def drop(self, agents: tuple[str, ...], name: str) -> None:
        self._events.put(lambda: self._tell_all(agents, wire.Drop(self.job, (name,))))

    def wait(self, ready: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until `ready()`, which is asked whenever anything has changed."""
        self._check_process()
        with self.changed:
            return self.changed.wait_for(ready, timeout)

    def ask(self, agent: str, make: Callable[[int], Message], timeout: float = 60.0) -> bytes:
        """The agent's answer to a request. Raises what it raised, PartyLost if it is gone."""
        self._check_process()
        with self.changed:
            request = len(self._requests)
            self._requests[request] = (agent, None)
        self._send(agent, make(request))
        gone = lambda: self.lost is not None and self.lost.party == agent  # noqa: E731
        found = self.wait(lambda: self._requests[request][1] is not None or gone() or self.closed, timeout)
        answer = self._requests[request][1]
        if answer is None:
            raise self.lost if self.lost is not None and found else LinkError(f"{agent} did not answer", party=agent)
        with self.changed:
            self._requests[request] = (agent, msgspec.structs.replace(answer, value=b""))
        if answer.failure is not None:
            raise failures.restore(answer.failure)
        return answer.value

    def close(self, error: ArgotError) -> None:
        """Say goodbye to all agents; whatever is unfinished fails with `error`."""
        if self.closed:
            return
        done = threading.Event()

        def end() -> None:
            self.execution.close(error)
            self._tell_all(self.agents, wire.Bye(self.job))
            done.set()

        self._events.put(end)
        if threading.current_thread() not in self._threads:  # a federation may be collected anywhere
            done.wait(5.0)
        self.abandon()

    def abandon(self) -> None:
        """End both threads without a word to anybody."""
        self.closed = True
        self._events.put(lambda: None)
        self._inbox.wake()
        with self.changed:
            self.changed.notify_all()

    def _check_process(self) -> None:
        """A forked child has none of the threads that would answer it."""
        if os.getpid() != self.process:
            raise ProgramError(
                "this federation was made by another process, of which this one is a copy",
                wanted="calls from the process that made it",
                todo="start the child by spawn and let it make its own, or fork before argot.local",
            )

    # The two threads.

    def _listen(self) -> None:
        while not self.closed:
            try:
                taken = self._inbox.take(0.5)
            except (OSError, RuntimeError, ArgotError):
                return
            for peer, data in taken:
                self._events.put(lambda peer=peer, data=data: self._receive(peer, data))  # type: ignore[misc]

    def _plan(self) -> None:
        while not self.closed:
            event = self._events.get()
            try:
                event()
            except Exception as error:  # a fault of ours: whoever waits must hear of it
                self.execution.fault(error)
            nodes = self.execution.take()
            with self.changed:
                self.changed.notify_all()
            for node in nodes:
                self._tell_all(node.parties, wire.Submit(self.job, node.to_bytes()))

    def _receive(self, peer: str, data: bytes | None) -> None:
        if data is None:
            self._connection_lost(peer)
            return
        try:
            message = wire.unpack(data)
        except msgspec.MsgspecError:
            return
        match message:
            case wire.Welcome():
                self.code[peer] = message.code
                self.acts_for |= set(message.acts_for) & {peer}
            case wire.Done(node=node) if self._concerns(peer, node):
                self.execution.done(node, peer, message.schemas, message.usage, message.notes)
            case wire.Failed(node=node) if self._concerns(peer, node):
                self.execution.failed(node, peer, failures.restore(message.failure))
            case wire.Progress(node=node) if self._concerns(peer, node):
                self.progress[node] = max(self.progress.get(node, (0, 0)), (message.done, message.total))
            case wire.Answer() if self._requests.get(message.request, ("",))[0] == peer:
                self._requests[message.request] = (peer, message)
            case wire.Lost():
                self.party_lost(message.party)
            case wire.Ended():
                self.party_lost(peer, f"{peer} has ended this job: it restarted, or its user connected from elsewhere")

    def _connection_lost(self, peer: str) -> None:
        """Before the agent has answered, its link began anew; `hello` goes on. After, the job is lost there.

        Then this driver lets go of the agent for good: where the user has connected from elsewhere, two that dial
        for ever would throw each other out in turn.
        """
        if peer not in self.code:
            return
        self.party_lost(peer)
        if not self.embedded:
            with contextlib.suppress(ArgotError):  # it was let go before
                self.link.remove_peer(peer)

    def _concerns(self, peer: str, number: int) -> bool:
        records = self.execution.graph.records
        return 0 <= number < len(records) and peer in records[number].device.parties

    def party_lost(self, party: str, what: str = "") -> None:
        """Called in the planner: an agent is gone, says the link or another agent."""
        if party not in self.agents or self.closed:
            return
        if self.lost is None:
            self.lost = PartyLost(what or f"{party} is gone", todo="see its log; connect and run again", party=party)
        self.execution.lost(
            self.lost if self.lost.party == party else PartyLost(f"{party} is gone", party=party), self.embedded
        )

    def report_lost(self, party: str) -> None:
        """The same from any thread."""
        self._events.put(lambda: self.party_lost(party))

    def _tell_all(self, agents: tuple[str, ...], message: Message) -> None:
        for agent in agents:
            self._send(agent, message)

    def _send(self, agent: str, message: Message) -> None:
        try:
            self.link.send(agent, CONTROL, [wire.pack(message)])
        except (OSError, RuntimeError, ArgotError):
            self.report_lost(agent)
