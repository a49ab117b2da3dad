"""The runtime of protocols: a scheduler without I/O, parties, sessions over a link, and a world for tests.

    scheduler.py  coroutines in, suspended tasks out: gather, spawn, join
    party.py      what a protocol sees: send, recv, rotate, exchange, key, draw, compute
    meter.py      @cost: declared rounds and bits; records of what was measured
    conformance.py  declared costs against measured ones
    world.py      all parties in one process, in lock step or with a badly behaved network (tests only)
    session.py    drives one party over `argot._core.link`; agreement on keys and run ids

Protocols import from here: `from ..runtime import Party, cost, gather, join, spawn`.
"""

from .meter import Cost, Record, cost, scope
from .party import Party, Spec
from .scheduler import Task, gather, join, spawn

__all__ = ["Cost", "Party", "Record", "Spec", "Task", "cost", "gather", "join", "scope", "spawn"]
