"""Runs a program over any protocol.

    values = await run(program, inputs, protocol, plain)

Public equations run in the clear at every party, private ones in the clear at their owner (under `plain`), all others
on shares (under `protocol`). Equations that need messages become tasks: spawned in the order of the program, at most
`window` of a block unfinished (fewer if they are large), so that independent ones share rounds. The equations next to
one that go on with its result alone go on in its task (`_join_chains`): tasks cost more than small equations. All
other equations run as soon as their operands are there, in whichever task brought the last one; they send nothing, so
no name depends on that. A loop is one task; its rounds follow one another in it, and the equations of all rounds are
its children.

Whatever decides which tasks exist is equal at all parties: the program, and public values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

import numpy as np

from ..errors import ArgotError, InputError, ProgramError
from ..mpc.protocol import Arith, Protocol
from ..runtime.meter import LINE, scope
from ..runtime.scheduler import Scheduler, Task, join, spawn
from . import ops
from .engine import Engine
from .ir import PUBLIC, SECRET, Block, Equation, Program, TensorType, Var
from .ops.base import Op, Operand, Shared
from .values import Private, Public, Secret, Share, Value

WINDOW = 32
LARGE = 2**22  # elements: fewer equations are unfinished where each has many
MAX_WHILE = 10_000_000

Progress = Callable[[str, int, int | None], None]


async def run(
    program: Program,
    inputs: Sequence[Value],
    protocol: Protocol,
    plain: Protocol,
    *,
    window: int = WINDOW,
    progress: Progress | None = None,
    plans: Plans | None = None,
) -> list[Value]:
    """The results of a checked program.

    Args:
        inputs: one value for each parameter, of its type and visibility.
        protocol: what computes on secrets.
        plain: `Plain` with the same ring and fraction bits, for private values.
        window: how many equations of a block may be unfinished.
        progress: called as `progress(where, done, total)` after each round of an outermost loop.
        plans: what earlier runs of this same program have left there, and this one leaves for later ones.

    Raises:
        InputError: an input has another type or visibility than its parameter.
        ProgramError: an equation failed; names the user's line.
    """
    if len(inputs) != len(program.body.params):
        raise InputError(f"{len(inputs)} inputs", wanted=f"{len(program.body.params)}")
    for name, value, param in zip(program.inputs, inputs, program.body.params, strict=True):
        _matches(name, value, param)
    machine = _Machine(protocol, plain, window, progress, {} if plans is None else plans)
    slots = [_Slot(value) for value in inputs]
    results = await machine.block(program.body, slots, depth=0)
    return [machine.as_declared(await machine.value(slot), v) for slot, v in zip(results, program.results, strict=True)]


def _matches(name: str, value: Value, param: Var) -> None:
    if value.type != param.type:
        raise InputError(f"input {name!r} is {value.type}", wanted=str(param.type))
    kind = {PUBLIC: Public, SECRET: Secret}.get(param.visibility, Private)
    owned = not isinstance(value, Private) or value.owner == param.visibility.rank
    if not isinstance(value, Public) and not (isinstance(value, kind) and owned):
        raise InputError(f"input {name!r} is not {param.visibility}", wanted=f"a {param.visibility} value")


class _Slot:
    """A value that is there or will be. `roots` are the tasks that bring it; `waiting` what runs when it comes; `depth`
    the longest chain of messages that it depends on, once it is there."""

    __slots__ = ("depth", "roots", "value", "waiting")

    def __init__(self, value: Value | None = None, depth: int = 0) -> None:
        self.value, self.depth = value, depth
        self.roots: tuple[Task, ...] = ()
        self.waiting: list[_Deferred] | None = None


@dataclass(slots=True)
class _Deferred:
    """An equation without messages whose operands are not all there."""

    step: _Step
    slots: list[_Slot]
    out: _Slot
    missing: int


@dataclass(slots=True)
class _Step:
    """An equation as the machine needs it: looked up once for each block."""

    eqn: Equation
    op: Op
    out: Var | None
    types: tuple[TensorType, ...]
    kind: str  # "public", "private", "share", "secret", "control"
    local: bool | None  # whether a secret one needs no messages; None: public operands decide
    line: str  # its record
    most: int  # unfinished equations beside this one: memory bounds large ones
    last: tuple[int, ...]  # values that nothing after this equation uses
    dead: tuple[int, ...]  # outputs that nothing uses
    rest: tuple[_Step, ...] = ()  # what goes on in the task of this one
    follows: bool = False  # goes on in the task of another


_Link = tuple[_Step, list[_Slot], _Slot]
"""An equation of a task, its operands, its result."""


@dataclass(slots=True)
class _Plan:
    """A block as the machine runs it."""

    params: tuple[int, ...]
    steps: list[_Step]
    results: tuple[int, ...]
    unused: tuple[int, ...]


Plans = dict[int, _Plan]
"""By the identity of a program's blocks: good as long as the program is kept."""


class _Machine:
    def __init__(
        self, protocol: Protocol, plain: Protocol, window: int, progress: Progress | None, plans: Plans
    ) -> None:
        self.protocol, self.plain = protocol, plain
        self.secret, self.clear = Engine(protocol), Engine(plain)
        self.rank = None if protocol.parties == 1 else protocol.party.rank  # None: this is all parties
        self.window, self.progress, self.plans = window, progress, plans

    def owns(self, rank: int) -> bool:
        return self.rank is None or self.rank == rank

    # ---- blocks -----------------------------------------------------------------------------------------------------

    async def block(self, block: Block, arguments: Sequence[_Slot], depth: int) -> list[_Slot]:
        """Starts every equation; the results may still be on their way."""
        plan = self.plans.get(id(block))
        if plan is None:
            plan = self.plans[id(block)] = _plan(block)
        env = dict(zip(plan.params, arguments, strict=True))
        for i in plan.unused:
            del env[i]
        for step in plan.steps:
            slots = [] if step.follows else [env[i] for i in step.eqn.inputs]
            if step.follows:
                pass
            elif step.kind == "control":
                outs = await self.control(step, slots, depth)
                env.update((v.id, slot) for v, slot in zip(step.eqn.outputs, outs, strict=True))
            elif step.kind == "share" or (step.kind == "secret" and not self.is_local(step, _values(slots))):
                chain, out, made = _chain(step, slots, env)
                out.roots = (await spawn(self.task(chain, out), min(self.window, step.most)),)
                env[made] = out
            else:
                env[step.out.id] = self.wait(step, slots)  # type: ignore[union-attr] # control alone has several
            for i in step.last:
                del env[i]
            for i in step.dead:
                env.pop(i, None)
        return [env[i] for i in plan.results]

    async def value(self, slot: _Slot) -> Value:
        for task in slot.roots:
            if not task.done:
                await join(task)
        assert slot.value is not None
        self.reach([slot])
        return slot.value

    def reach(self, slots: Sequence[_Slot]) -> int:
        """The depth of the current task, which goes on from these values. Some were there before it asked for them, and
        it has joined nobody then: what is counted must not depend on that."""
        if not self.protocol.party.started:  # in the clear nobody counts
            return 0
        task = self.protocol.party.task
        depth = max(task.depth, _depth(slots))
        task.depth = depth
        return depth

    def as_declared(self, value: Value, var: Var) -> Value:
        """A public value where the program says private or secret, in that form."""
        if not isinstance(value, Public) or var.visibility == PUBLIC:
            return value
        if var.visibility == SECRET:
            return Secret(self.secret.lift(value), value.type)
        owner = var.visibility.rank
        return Private(owner, self.clear.lift(value) if self.owns(owner) else None, value.type)

    def wait(self, step: _Step, slots: list[_Slot]) -> _Slot:
        """An equation without messages: run now, or when its operands are there."""
        out = _Slot()
        missing = {id(slot): slot for slot in slots if slot.value is None}
        if not missing:
            out.value, out.depth = self.local(step, _values(slots)), _depth(slots)
            return out
        out.roots = _roots(slots)
        deferred = _Deferred(step, slots, out, len(missing))
        for slot in missing.values():
            if slot.waiting is None:
                slot.waiting = []
            slot.waiting.append(deferred)
        return out

    def is_local(self, step: _Step, values: Sequence[Value | None]) -> bool:
        """Public operands are always there: nothing public waits."""
        if step.local is not None:
            return step.local
        known = [value if isinstance(value, Public) else None for value in values]
        return step.op.is_local(*known, **step.eqn.attrs)

    async def task(self, chain: deque[_Link], last: _Slot) -> None:
        """Equations of which the first needs messages, and each other one the result of the one before it."""
        while chain:
            step, slots, out = chain.popleft()
            values = [slot.value if slot.value is not None else await self.value(slot) for slot in slots]
            depth = self.reach(slots)
            slots.clear()
            if step.kind == "secret" and self.is_local(step, values):
                made = self.local(step, values)
            else:
                made = await self.step(step, values)
                depth = self.reach(())
            values.clear()
            if out is last:
                return self.bring(out, made, depth)
            out.value, out.depth = made, depth

    async def step(self, step: _Step, values: list[Value]) -> Value:
        """An equation that needs messages."""
        party, began = self.protocol.party, perf_counter_ns()
        try:
            with scope(party, step.line):
                if step.kind == "share":
                    share = await self.share(values[0], step)
                else:
                    share = await step.op.share(self.secret, *map(_operand, values), **step.eqn.attrs)
        except (ArgotError, ValueError, TypeError, IndexError) as error:
            raise _located(error, step) from error
        party.spans.append((step.eqn.op, step.eqn.where, began, perf_counter_ns()))
        return Secret(share, step.out.type)  # type: ignore[union-attr]

    def bring(self, slot: _Slot, value: Value, depth: int) -> None:
        """The value of a slot is there: run what waited for it, and what waited for that."""
        ready = [(slot, value, depth)]
        while ready:
            slot, value, depth = ready.pop()
            slot.value, slot.depth, waiting, slot.waiting = value, depth, slot.waiting, None
            for deferred in waiting or ():
                deferred.missing -= 1
                if deferred.missing == 0:
                    made = self.local(deferred.step, _values(deferred.slots))
                    ready.append((deferred.out, made, _depth(deferred.slots)))
                    deferred.slots = []

    # ---- equations --------------------------------------------------------------------------------------------------

    def local(self, step: _Step, values: Sequence[Value | None]) -> Value:
        """An equation that needs no messages."""
        out = step.out
        assert out is not None
        try:
            if step.kind == "public":
                arrays = [v.array for v in values]  # type: ignore[union-attr]
                return Public(step.op.clear(*arrays, **step.eqn.attrs), out.type)
            operands = list(map(_operand, values))
            if step.kind == "private":
                owner = out.visibility.rank
                if not self.owns(owner):
                    return Private(owner, None, out.type)
                made = alone(step.op.share(self.clear, *operands, **step.eqn.attrs))
                return Private(owner, made, out.type)
            return Secret(_at_once(step.op.share(self.secret, *operands, **step.eqn.attrs)), out.type)
        except (ArgotError, ValueError, TypeError, IndexError) as error:
            raise _located(error, step) from error

    async def share(self, value: Value | None, step: _Step) -> Share:
        """A private value, shared by its owner."""
        if isinstance(value, Public):
            return self.secret.lift(value)
        assert isinstance(value, Private)
        return await self.secret.shared(value.share, value.owner, value.type)

    # ---- loops and branches -----------------------------------------------------------------------------------------

    async def control(self, step: _Step, slots: list[_Slot], depth: int) -> list[_Slot]:
        eqn = step.eqn
        if eqn.op == "cond":
            return await self.cond(eqn, slots, depth)
        used = [v.visibility for v in eqn.outputs if v.id not in step.dead]
        if any(visibility != SECRET for visibility in used):
            # Public results decide what is spawned later, so they are there before anything after the loop.
            return await self.loop(eqn, slots, depth)
        outs = [_Slot() for _ in eqn.outputs]
        task = await spawn(self.loop_task(eqn, slots, outs, depth), min(self.window, step.most))
        for out in outs:
            out.roots = (task,)
        return outs

    async def loop_task(self, eqn: Equation, slots: list[_Slot], outs: list[_Slot], depth: int) -> None:
        values = [await self.value(slot) for slot in await self.loop(eqn, slots, depth)]
        for out, value, var in zip(outs, values, eqn.outputs, strict=True):
            # A carry that stayed public is not left so: whoever asks before the loop ends would not see it.
            self.bring(out, self.as_declared(value, var), self.reach(()))

    async def loop(self, eqn: Equation, slots: list[_Slot], depth: int) -> list[_Slot]:
        return await (self.scan(eqn, slots, depth) if eqn.op == "loop" else self.while_(eqn, slots, depth))

    async def scan(self, eqn: Equation, slots: list[_Slot], depth: int) -> list[_Slot]:
        length, consts, carries = eqn.attrs["length"], eqn.attrs["consts"], eqn.attrs["carries"]
        fixed, carry, arrays = slots[:consts], slots[consts : consts + carries], slots[consts + carries :]
        body = eqn.blocks[0]
        wholes = [await self.value(slot) for slot in arrays]
        stacks: list[list[_Slot]] = [[] for _ in eqn.outputs[carries:]]
        for i in range(length):
            row = length - 1 - i if eqn.attrs["reverse"] else i
            rows = [_Slot(_row(whole, row), slot.depth) for whole, slot in zip(wholes, arrays, strict=True)]
            found = await self.block(body, [*fixed, *carry, *rows], depth + 1)
            carry = found[:carries]
            for stack, slot in zip(stacks, found[carries:], strict=True):
                stack.append(slot)
            if depth == 0 and self.progress is not None:
                self.progress(eqn.where, i + 1, length)
        if eqn.attrs["reverse"]:
            stacks = [stack[::-1] for stack in stacks]
        stacked = [
            _Slot(self.stack([await self.value(slot) for slot in stack], v), _depth(stack))
            for stack, v in zip(stacks, eqn.outputs[carries:], strict=True)
        ]
        return [*carry, *stacked]

    def stack(self, rows: list[Value], out: Var) -> Value:
        if out.visibility == PUBLIC:
            arrays = [row.array for row in rows]  # type: ignore[union-attr]
            return Public(np.stack(arrays) if arrays else np.zeros(out.type.shape, out.type.numpy), out.type)
        if out.visibility.is_private and not self.owns(out.visibility.rank):
            return Private(out.visibility.rank, None, out.type)
        engine = self.clear if out.visibility.is_private else self.secret
        made = _stack(engine, [_operand(row) for row in rows], out.type)
        return Private(out.visibility.rank, made, out.type) if out.visibility.is_private else Secret(made, out.type)

    async def while_(self, eqn: Equation, slots: list[_Slot], depth: int) -> list[_Slot]:
        first, second = eqn.attrs["cond_consts"], eqn.attrs["body_consts"]
        test, body = eqn.blocks
        a, b, carry = slots[:first], slots[first : first + second], slots[first + second :]
        for done in range(MAX_WHILE):
            (verdict,) = await self.block(test, [*a, *carry], depth + 1)
            value = verdict.value
            assert isinstance(value, Public)
            if not bool(value.array):
                return carry
            carry = await self.block(body, [*b, *carry], depth + 1)
            if depth == 0 and self.progress is not None:
                self.progress(eqn.where, done + 1, None)
        raise ProgramError(f"a while loop of more than {MAX_WHILE} rounds", where=eqn.where or None)

    async def cond(self, eqn: Equation, slots: list[_Slot], depth: int) -> list[_Slot]:
        index = slots[0].value
        assert isinstance(index, Public)
        block = eqn.blocks[min(max(int(index.array), 0), len(eqn.blocks) - 1)]
        return await self.block(block, slots[1:], depth + 1)


def _plan(block: Block) -> _Plan:
    """Which values each equation is the last to use."""
    known = block.vars()
    seen = set(block.results)
    steps: list[_Step] = []
    for eqn in reversed(block.equations):
        last = tuple(i for i in dict.fromkeys(eqn.inputs) if i not in seen)
        dead = tuple(v.id for v in eqn.outputs if v.id not in seen)
        seen.update(eqn.inputs)
        out = eqn.outputs[0] if len(eqn.outputs) == 1 else None
        types = tuple(known[i].type for i in eqn.inputs)
        most = max(2, LARGE // max([1, *(v.type.size for v in eqn.outputs)]))
        op, kind = ops.find(eqn.op), _kind(eqn)
        local = _locality(op, eqn, known)
        steps.append(_Step(eqn, op, out, types, kind, local, LINE + eqn.where, most, last, dead))
    unused = tuple(p.id for p in block.params if p.id not in seen)
    steps.reverse()
    steps.sort(key=lambda step: step.eqn.op != "const")  # they are there anyway, and would only stand between
    _join_chains(steps, block)
    return _Plan(tuple(p.id for p in block.params), steps, block.results, unused)


def _join_chains(steps: list[_Step], block: Block) -> None:
    """Let each equation that needs messages take along what goes on with its result and nothing else: the next steps of
    the walk, but for some that never wait, each the single user of the result before, whatever else it uses being
    there or on its way already. So a task covers steps that follow one another, and no window of tasks waits for a
    later step than a window of equations would.
    """
    users: dict[int, list[_Step]] = {}
    for step in steps:
        for i in dict.fromkeys(step.eqn.inputs):
            users.setdefault(i, []).append(step)
    results = set(block.results)
    since = dict.fromkeys((p.id for p in block.params), -1)  # where the walk over the block gets each value
    for at, step in enumerate(steps):
        if step.follows:
            continue
        rest: list[_Step] = []
        made = -1 if step.out is None else step.out.id
        after = at + 1
        heads = step.kind == "share" or (step.kind == "secret" and step.local is False)
        while heads and after < len(steps) and made not in results and len(users.get(made, ())) == 1:
            user, after = steps[after], after + 1
            if users[made][0] is not user:
                if _never_waits(user):
                    continue
                break
            others = [since.get(i, at) for i in user.eqn.inputs if i != made]
            alike = min(user.most, WINDOW) == min(step.most, WINDOW)
            if user.kind != "secret" or user.out is None or not alike or max(others, default=-1) >= at:
                break
            user.last = tuple(i for i in user.last if i != made)  # it never has a name in the walk
            user.follows = True
            rest.append(user)
            made = user.out.id
        step.rest = tuple(rest)
        since.update((v.id, at) for v in step.eqn.outputs)
        since[made] = at


def _never_waits(step: _Step) -> bool:
    return step.follows or step.kind in ("public", "private") or (step.kind == "secret" and step.local is True)


def _chain(step: _Step, slots: list[_Slot], env: dict[int, _Slot]) -> tuple[deque[_Link], _Slot, int]:
    """What a task runs, its last result, and the value that this is."""
    out, made = _Slot(), step.out.id  # type: ignore[union-attr]  # control alone has several
    links = deque([(step, slots, out)])
    for following in step.rest:
        slots = [out if i == made else env[i] for i in following.eqn.inputs]
        out, made = _Slot(), following.out.id  # type: ignore[union-attr]
        links.append((following, slots, out))
    return links, out, made


def _kind(eqn: Equation) -> str:
    if eqn.blocks:
        return "control"
    if eqn.op == "share":
        return "share"
    visibility = eqn.outputs[0].visibility
    return "private" if visibility.is_private else "public" if visibility == PUBLIC else "secret"


def _locality(op: Op, eqn: Equation, known: dict[int, Var]) -> bool | None:
    """What `Op.is_local` says whatever the operands turn out to be, None if it depends on them."""
    if eqn.blocks or any(known[i].visibility == PUBLIC for i in eqn.inputs):
        return None
    return op.is_local(*(None for _ in eqn.inputs), **eqn.attrs)


def _depth(slots: Sequence[_Slot]) -> int:
    """Of what is computed from these values."""
    depth = 0
    for slot in slots:
        if slot.depth > depth:
            depth = slot.depth
    return depth


def _values(slots: Sequence[_Slot]) -> list[Value | None]:
    return [slot.value for slot in slots]


def _roots(slots: Sequence[_Slot]) -> tuple[Task, ...]:
    """The unfinished tasks that bring these values."""
    return tuple(dict.fromkeys(task for slot in slots for task in slot.roots if not task.done))


def _operand(value: Value | None) -> Operand:
    if isinstance(value, Public):
        return value
    assert value is not None
    return Shared(value.share, value.type)  # type: ignore[arg-type]  # None only where nothing is computed


def _at_once(coro: Coroutine[Any, Any, Share]) -> Share:
    """The result of a coroutine that never waits."""
    try:
        coro.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    coro.close()
    raise AssertionError("an operation that said it is local waits")


def alone(coro: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nobody else, such as any under `Plain`."""
    scheduler = Scheduler(1)
    root = scheduler.start(coro, None)  # type: ignore[arg-type]
    scheduler.run()
    if scheduler.failure is not None:
        raise scheduler.failure
    return root.result


def _located(error: Exception, step: _Step) -> ArgotError:
    """The error with the user's line; what kernels raise becomes a ProgramError that names the operation."""
    if isinstance(error, ArgotError):
        error.where = error.where or step.eqn.where or None
        return error
    types = ", ".join(map(str, step.types))
    return ProgramError(f"{step.eqn.op} of {types} failed: {error}", where=step.eqn.where or None)


def _row(whole: Value, i: int) -> Value:
    type_ = whole.type.with_shape(whole.type.shape[1:])
    if isinstance(whole, Public):
        return Public(whole.array[i, ...], type_)
    share = None if whole.share is None else _share_row(whole.share, i)
    if isinstance(whole, Private):
        return Private(whole.owner, share, type_)
    assert share is not None
    return Secret(share, type_)


def _share_row(share: Share, i: int) -> Share:
    if isinstance(share, Arith):
        return share.map(lambda part: part[i : i + 1].reshape(part.shape[1:]))
    rest = share.shape[1:]
    starts, limits = (i, *(0 for _ in rest)), (i + 1, *rest)
    return share.map(lambda part: part.slice(starts, limits, (1,) * len(limits)).reshape(rest))


def _stack(engine: Engine, rows: list[Operand], type_: TensorType) -> Share:
    if not rows:
        return engine.lift(Public(np.zeros(type_.shape, type_.numpy), type_))
    wide = [
        Shared(engine.lift(row).reshape((1, *row.type.shape)), row.type.with_shape((1, *row.type.shape)))
        for row in rows
    ]
    return _at_once(ops.find("concat").share(engine, *wide, axis=0))
