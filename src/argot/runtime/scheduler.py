"""A scheduler without I/O: runs coroutines until every one of them waits.

A task is one coroutine and its place in the tree of spawns. The place is its *path*: the path of its parent and its
index among the children of that parent. Parties that spawn alike therefore use the same paths, whatever the order
in which their messages arrive, and everything that needs a name (messages, random draws) takes it from the path.

    path of the root = b""            path of a child = path of its parent + b"\\x01" + index (4 bytes, little endian)

Every element has five bytes and begins with its kind, so different places have different paths. The digest of a
task is the first 16 bytes of BLAKE3(path), computed when first needed and kept.

Tasks also carry `depth`, the length of the longest chain of messages they depend on: it travels with every message
and makes the measured rounds exact, in a test world and on a network alike. A window of L waits for the child L places
before the new one, not for any, so that depth does not depend on who happens to finish first.

An error in any task ends the whole run: the parties run the same program, so a task that fails here will not answer
the others, and a run that cannot end well should end at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import TYPE_CHECKING, Any

from .._core import mail

if TYPE_CHECKING:
    from .meter import Record

Coro = Coroutine[Any, Any, Any]

_GATHER, _SPAWN, _JOIN = "gather", "spawn", "join"


class Task(mail.Place):
    """One coroutine, named by its place in the tree of spawns."""

    __slots__ = (
        "blocked",
        "coro",
        "done",
        "group",
        "joiners",
        "member",
        "parent",
        "record",
        "result",
        "resume",
        "window",
    )

    def __init__(self, parent: Task | None, n: int, coro: Coro, record: Record):
        self.coro = coro
        self.resume = coro.send
        self.parent = parent
        self.record = record
        self.window: deque[Task] | None = None  # children spawned with a limit, from the first that may be unfinished
        self.blocked: tuple[Coro, int] | None = None  # a spawn that waits for the first of the window
        self.group: _Group | None = None  # the gather this task waits for
        self.member: _Group | None = None  # the gather this task is part of
        self.joiners: list[Task] | None = None
        self.done = False
        self.result: Any = None

    def __repr__(self) -> str:
        return f"Task({readable(self.path)})"


class _Group:
    """A gather under way: its children in order, and what is still to be started."""

    __slots__ = ("children", "left", "limit", "pending")

    def __init__(self, left: deque[Coro], limit: int):
        self.left = left
        self.limit = limit
        self.pending = len(left)
        self.children: list[Task] = []


def readable(path: bytes) -> str:
    """A path for people: `root/0/3` is the fourth child of the first child of the root."""
    return "/".join(["root", *(str(int.from_bytes(path[i + 1 : i + 5], "little")) for i in range(0, len(path), 5))])


@coroutine
def gather(*coros: Coro, limit: int | None = None) -> Generator[Any, Any, list[Any]]:
    """Run coroutines side by side: `a, b = await gather(f(), g())`; their messages share rounds.

    Results come in the order of the arguments. They are started in that order; with `limit` each waits for the one that
    many places before it, so that at most so many are unfinished at a time.
    """
    if not coros:
        return []
    return (yield _GATHER, coros, limit)


@coroutine
def spawn(coro: Coro, limit: int | None = None) -> Generator[Any, Any, Task]:
    """Start a task beside this one: `task = await spawn(f())`, later `await join(task)`.

    With `limit` it first waits for the child that was spawned (with a limit) that many places before it: a window. The
    names of children follow from the order of these calls, which must be the same at every party.
    """
    return (yield _SPAWN, coro, limit)


@coroutine
def join(task: Task) -> Generator[Any, Any, Any]:
    """Wait for a task and return its result. Any number of tasks may join one, also after it has finished."""
    return (yield _JOIN, task)


class Scheduler:
    """Runs tasks until all of them wait; knows nothing of messages.

    `task` is the one that runs now. A coroutine that waits for something else than another task registers itself
    and yields None; whoever has what it waits for calls `wake`.
    """

    __slots__ = ("_all", "depth", "failure", "n", "overdue", "pause", "ready", "root", "task")

    def __init__(self, n: int, overdue: Callable[[], bool] | None = None):
        self.n = n
        self.overdue = overdue  # asked after each step whether to pause
        self.ready: deque[tuple[Task, Any]] = deque()
        self.task: Task = None  # type: ignore[assignment]  # set while a task runs
        self.root: Task | None = None
        self.failure: BaseException | None = None
        self.depth = 0  # of the deepest task that has finished
        self.pause = False  # set by a task: return from `run` after this step, to let messages out
        self._all: dict[Task, None] = {}  # unfinished tasks, in order of spawning

    def start(self, coro: Coro, record: Record) -> Task:
        """Begin with `coro` as the root."""
        self.root = Task(None, self.n, coro, record)
        self._all[self.root] = None
        self.ready.append((self.root, None))
        return self.root

    @property
    def finished(self) -> bool:
        """Whether every task has finished, or one has failed."""
        return self.failure is not None or not self._all

    def unfinished(self) -> list[Task]:
        """The tasks that have not finished, in order of spawning."""
        return list(self._all)

    def wake(self, task: Task, value: Any) -> None:
        """Let `task` go on with `value` as the result of its yield."""
        self.ready.append((task, value))

    def run(self) -> None:
        """Run until every task waits, one asks for a pause, one fails, or all have finished."""
        ready, pop, overdue = self.ready, self.ready.popleft, self.overdue
        while ready:
            self.task, value = pop()
            try:
                request = self.task.resume(value)
            except StopIteration as stop:
                self._finish(self.task, stop.value)
            except BaseException as error:
                self._fail(error)
                return
            else:
                if request is not None:
                    self._serve(self.task, request)
            if self.pause:
                self.pause = False
                return
            if overdue is not None and overdue():
                return

    def close(self) -> None:
        """Drop all tasks that have not finished, running their `finally` clauses."""
        self.ready.clear()
        for task in reversed(self._all):
            task.coro.close()
            for coro in task.group.left if task.group else ():
                coro.close()
            if task.blocked:
                task.blocked[0].close()
        self._all.clear()

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._all.pop(self.task)
        self.close()

    def _serve(self, task: Task, request: tuple[Any, ...]) -> None:
        kind = request[0]
        if kind is _JOIN:
            self._join(task, request[1])
        elif kind is _GATHER:
            coros, limit = deque(request[1]), request[2]
            task.group = group = _Group(coros, len(coros) if limit is None else limit)
            for _ in range(min(group.limit, len(coros))):
                self._spawn_member(task, group)
        elif request[2] is None:
            self.ready.append((task, self._spawn(task, request[1])))
        else:
            self._spawn_in_window(task, request[1], request[2])

    def _spawn_in_window(self, parent: Task, coro: Coro, limit: int) -> None:
        """Spawn, now or when the child `limit` places before has finished."""
        window = parent.window
        if window is None:
            window = parent.window = deque()
        while len(window) >= limit:
            if not window[0].done:
                parent.blocked = coro, limit
                return
            parent.depth = max(parent.depth, window.popleft().depth)
        child = self._spawn(parent, coro)
        window.append(child)
        self.ready.append((parent, child))

    def _spawn(self, parent: Task, coro: Coro) -> Task:
        task = Task(parent, self.n, coro, parent.record)
        self._all[task] = None
        self.ready.append((task, None))
        return task

    def _spawn_member(self, parent: Task, group: _Group) -> None:
        task = self._spawn(parent, group.left.popleft())
        task.member = group
        group.children.append(task)

    def _join(self, task: Task, other: Task) -> None:
        if other.done:
            task.depth = max(task.depth, other.depth)
            self.ready.append((task, other.result))
        elif other.joiners is None:
            other.joiners = [task]
        else:
            other.joiners.append(task)

    def _finish(self, task: Task, result: Any) -> None:
        task.result, task.done = result, True
        del self._all[task]
        if task.depth > self.depth:
            self.depth = task.depth
        for joiner in task.joiners or ():
            joiner.depth = max(joiner.depth, task.depth)
            self.ready.append((joiner, result))
        # No cycles: results are freed when the last who uses them is done.
        (parent, group), task.parent, task.member, task.window = (task.parent, task.member), None, None, None
        if parent is None:
            return
        if group is not None:
            self._advance_group(parent, group)
        elif parent.blocked is not None and parent.window is not None and parent.window[0] is task:
            (coro, limit), parent.blocked = parent.blocked, None
            self._spawn_in_window(parent, coro, limit)

    def _advance_group(self, parent: Task, group: _Group) -> None:
        """A child of a gather has finished: start those that waited for it, or let the parent go on."""
        group.pending -= 1
        children = group.children
        while group.left and (before := children[len(children) - group.limit]).done:
            parent.depth = max(parent.depth, before.depth)
            self._spawn_member(parent, group)
        if group.pending == 0:
            parent.group = None
            parent.depth = max(parent.depth, *(child.depth for child in children))
            self.ready.append((parent, [child.result for child in children]))
