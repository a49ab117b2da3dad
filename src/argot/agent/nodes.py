"""The life of a node at one agent.

    submit -> admitted in order -> policy -> inputs are there -> prepare -> agree with the others -> run -> told

Whatever goes wrong before the agreement is this party's refusal, and it is said to the others in the agreement
itself, so that nobody waits for a party that will not come.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import msgspec

from ..devices.schema import same
from ..errors import ArgotError, InputError, PartyLost, ProgramMismatch
from ..graph.node import KERNEL_VERSION, Node, short
from . import failures, sources, wire
from .context import Results, find
from .early import Early
from .job import Job, Run, first_failure, schema_of
from .rendezvous import Rendezvous
from .threads import Threads
from .wire import Message

if TYPE_CHECKING:
    from .server import Agent


RETRIES = 20  # of a quarter of a second


class Nodes:
    """All nodes of an agent. Called only from the agent's loop."""

    def __init__(self, agent: Agent) -> None:
        self.agent, self.me = agent, agent.name
        self.early = Early()
        self.threads = Threads()

    # From the driver.

    def submit(self, job: Job, data: bytes) -> None:
        """A node from the driver. Bytes that are no node are logged; everything else is answered."""
        try:
            node = Node.from_bytes(data)
        except msgspec.MsgspecError as error:
            self.agent.logs.info("refused node", job=job.id.hex(), size=len(data))
            self.agent.logs.error(failures.reference(), str(error))
            return
        run = Run(node, node.digest())
        try:
            job.lane(node.device).offer(node.sequence, run)
        except ArgotError as error:
            self._report(job, run, error)
            return
        for output in node.outputs:
            run.doubles |= not job.objects.expect(output)
        self._admit(job, node.device.name)

    def _admit(self, job: Job, device: str) -> None:
        for run in job.lanes[device].admit():
            self._start(job, run)

    def _start(self, job: Job, run: Run) -> None:
        node = run.node
        job.runs[run.key] = run
        if len(node.parties) > 1:
            run.rendezvous = Rendezvous(self.me, node.parties, run.hash)
            for party, said in self.early.take(job.id, *run.key):
                run.rendezvous.hear(party, said)
        try:
            self._check(job, run)
            run.inputs = job.held(node, self.me)
        except Exception as error:  # a fault of ours too must be answered, or everybody waits for this node
            self._fail(job, run, error)
            return
        pending = [entry for entry in run.inputs if entry is not None and entry.state == "pending"]
        run.waiting_for = len(pending)
        for entry in pending:
            entry.waiters.append(lambda: self._input_settled(job, run))
        if not pending:
            self._prepare(job, run)
        self._check_agreement(job, run)

    def _check(self, job: Job, run: Run) -> None:
        """What can be said of a node before its inputs exist."""
        node = run.node
        if node.job != job.id or self.me not in node.parties or len(set(node.parties)) != len(node.parties):
            raise failures.public(InputError(f"{node.name} is not for {self.me}"))
        if node.device.kernels != KERNEL_VERSION:
            raise failures.public(
                ProgramMismatch(
                    f"{node.name} is for version {node.device.kernels} of the protocols",
                    wanted=f"version {KERNEL_VERSION}, which {self.me} has",
                    todo="install the same version of argot at all agents and at the driver",
                    party=self.me,
                )
            )
        if run.doubles:
            raise failures.public(InputError(f"{node.name} makes an object that exists already"))
        job.check_device(node.device, self.me)
        job.check_alive(node)
        sources.check(node)
        self.agent.policy.check(node, job.user, job.driver)

    def _input_settled(self, job: Job, run: Run) -> None:
        run.waiting_for -= 1
        if run.waiting_for == 0:
            self._prepare(job, run)

    def _prepare(self, job: Job, run: Run) -> None:
        """All inputs are settled: check sizes, and let the operation get ready (read, encode) in a thread."""
        if run.state != "waiting":
            return
        node = run.node
        try:
            failure = first_failure(run.inputs)
            if failure is not None:
                raise failure
            schemas = [
                None if entry is None else schema_of(entry, binding)
                for entry, binding in zip(run.inputs, node.inputs, strict=True)
            ]
            self.agent.policy.check_inputs(node, schemas)
            operation = find(node.op)
        except Exception as error:  # a fault of ours too must be answered, or everybody waits for this node
            self._fail(job, run, error)
            return
        run.context = self.agent.context(job, run)
        run.state = "preparing"
        self._thread(job, run, lambda: operation.prepare(run.context), lambda made: self._prepared(job, run, made))

    def _prepared(self, job: Job, run: Run, made: Any) -> None:
        """This party is ready; say so, and run if the others are."""
        run.context.prepared = made
        run.state = "agreeing"
        if run.rendezvous is None:
            self._execute(job, run)
            return
        self._say(job, run, None)
        self._check_agreement(job, run)

    # Among agents.

    def from_peer(self, peer: str, message: Message) -> None:
        """A word of another agent."""
        if not isinstance(message, wire.Agree | wire.Abort):
            self.agent.logs.info("refused message", peer=peer, kind=type(message).__name__)
            return
        job = self.agent.jobs.get(message.job)
        run = job.runs.get((message.device, message.sequence)) if job else None
        if run is None:
            over = job is not None and job.is_over(message.device, message.sequence)
            if isinstance(message, wire.Agree) and not over:
                self.early.keep(peer, message)
        elif job is None or run.rendezvous is None or peer not in run.node.parties:
            self.agent.logs.info("refused message", peer=peer, kind=type(message).__name__)
        elif isinstance(message, wire.Agree):
            run.rendezvous.hear(peer, message)
            self._check_agreement(job, run)
        else:
            self._fail(job, run, failures.restore(message.failure), own=False)

    def _say(self, job: Job, run: Run, refusal: wire.Failure | None) -> bool:
        """This party's one word about the node; False if it was said before."""
        if run.rendezvous is None:
            return True
        said = run.rendezvous.speak(job.id, *run.key, refusal)
        if said is not None:
            self._to_others(job, run, said)
        return said is not None

    def _to_others(self, job: Job, run: Run, message: Message) -> None:
        for party in run.node.parties:
            if party != self.me:
                self._to(job, run, party, message, RETRIES)

    def _to(self, job: Job, run: Run, party: str, message: Message, tries: int) -> None:
        """One that has just restarted may not have connected yet: try for a while."""
        if self.agent.tell(party, message) or job.lost is not None:
            return
        if tries:
            self.agent.later(0.25, lambda: self._to(job, run, party, message, tries - 1))
        else:
            self.lost(job, party)

    def _check_agreement(self, job: Job, run: Run) -> None:
        """Run once all agree; end as soon as one does not."""
        if run.rendezvous is None or run.state in ("running", "done"):
            return
        objection = run.rendezvous.objection()
        if objection is not None:
            self._fail(job, run, objection, own=False)
        elif run.state == "agreeing" and run.rendezvous.complete():
            self._execute(job, run)

    # Running.

    def _execute(self, job: Job, run: Run) -> None:
        run.state, run.began = "running", perf_counter_ns()
        operation = find(run.node.op)
        self.agent.logs.info("run", node=run.node.name, op=run.node.op, hash=short(run.hash))
        self._thread(job, run, lambda: operation.execute(run.context), lambda results: self._done(job, run, results))

    def _thread(self, job: Job, run: Run, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Run `work` beside the loop, and `then` or the failure in it."""

        def body() -> None:
            try:
                result = work()
            except BaseException as error:  # a user's function may raise anything, SystemExit included
                self.agent.events.put(lambda error=error: self._raised(job, run, error))  # type: ignore[misc]
            else:
                self.agent.events.put(lambda: self._go_on(job, run, lambda: then(result)))

        self.threads.start(body)

    def _go_on(self, job: Job, run: Run, then: Callable[[], None]) -> None:
        """The next step of a run that has not ended meanwhile."""
        if run.state == "done":
            return
        try:
            then()
        except Exception as error:  # a fault of ours
            self._fail(job, run, error)

    def _raised(self, job: Job, run: Run, error: BaseException) -> None:
        """A thread of a run raised. What another party caused is told better by its own `Abort`, close behind."""
        others = isinstance(error, ArgotError) and error.party in run.node.parties and error.party != self.me
        if not others:
            self._fail(job, run, error)
            return
        self.agent.later(0.3, lambda: self._fail(job, run, error, own=False))

    def _done(self, job: Job, run: Run, results: Results) -> None:
        """Keep the results, tell the driver what they look like, go on with what waited for them."""
        for output in run.node.outputs:
            if output.object not in results:
                continue
            schema = results[output.object][1]
            if output.schema is not None and not same(schema, output.schema):
                self._fail(
                    job,
                    run,
                    failures.public(
                        InputError(f"{run.node.title} gave {schema}", wanted=f"{output.schema}, as declared")
                    ),
                )
                return
        waiters = [
            waiter for name, (value, schema) in results.items() for waiter in job.objects.put(name, value, schema)
        ]
        schemas = {name: schema for name, (_, schema) in results.items()}
        context = run.context
        job.note(run)
        self.agent.tell(job.driver, wire.Done(job.id, run.node.number, schemas, context.usage, context.notes))
        self._over(job, run, waiters)

    def _over(self, job: Job, run: Run, waiters: list[Callable[[], None]]) -> None:
        run.state = "done"
        job.runs.pop(run.key, None)
        device = run.node.device.name
        job.lanes[device].finish(run.node.sequence)
        for waiter in waiters:
            waiter()
        self._admit(job, device)

    def _fail(self, job: Job, run: Run, error: BaseException, own: bool = True) -> None:
        """The node ends here with an error, at the latest now; the others are told if it is this party's own."""
        if run.state == "done":
            return
        was_running, run.state = run.state == "running", "done"
        told = self._report(job, run, error)
        if not self._say(job, run, told) and own and was_running:
            self._to_others(job, run, wire.Abort(job.id, *run.key, told))
        if run.node.op == "open":
            job.broken[run.node.device.name] = failures.restore(told)
        if run.context is not None:
            run.context.cancel()
        waiters = [
            waiter for output in run.node.outputs for waiter in job.objects.fail(output.object, failures.restore(told))
        ]
        self._over(job, run, waiters)

    def _report(self, job: Job, run: Run, error: BaseException) -> wire.Failure:
        """Log an error, tell the driver, and return what other parties may learn of it."""
        node, ref = run.node, failures.reference()
        told = failures.crossing(error, party=self.me, node=node.name, where=node.where, title=node.title, ref=ref)
        self.agent.logs.error(ref, f"{node.name}\n{failures.full_text(error)}")
        self.agent.logs.info("failed", node=node.name, code=told.code, party=told.party, reference=told.reference)
        self.agent.journal.write("failed", job.id, node.number, hash=run.hash.hex(), code=told.code, party=told.party)
        mine = told.party == self.me and job.acts_for_me
        answer = failures.with_detail(told, error) if mine else told
        self.agent.tell(job.driver, wire.Failed(job.id, node.number, answer))
        return told

    def lost(self, job: Job, party: str) -> None:
        """Another agent is gone: every node of a device it belongs to ends."""
        if not any(party in device.parties for device in job.devices.values()):
            return
        job.lost = party
        for run in list(job.runs.values()):
            if party in run.node.parties:
                self._fail(
                    job, run, PartyLost(f"{party} is gone", todo="start again once it is back", party=party), own=False
                )

    def abandon(self, job: Job, error: ArgotError) -> None:
        """The job is over: stop what runs and tell the others."""
        for lane in job.lanes.values():
            lane.close()
        for run in list(job.runs.values()):
            self._fail(job, run, error)
