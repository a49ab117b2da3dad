"""Where private values are shared.

What depends on one party's data only can be computed in the clear by that party, and shared later. `place` picks,
among all ways to do so, one that sends least, and writes it into the program as `share` equations:

* A value costs its elements to share; an operation on shares costs what it sends, in elements (`Op.price`; 0 for what
  is local). Inside a loop both count once a round. So without interactive operations on the way, it is the cut with
  the fewest elements; a private product that would grow is shared as factors only if multiplying shares is cheaper.
* A value computed privately has private operands; whatever mixes parties, or meets a secret, takes shared ones.

That is a minimum cut. Each private value v is an edge (v computed) -> (v used): cutting it shares v. The source side
is what the owner computes in the clear. Moving the cut changes a result by at most 2 units in the last place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from . import ops
from .ir import SECRET, Block, Equation, Program, Var, Visibility

_INFINITE = float("inf")
_ROUNDS = 8  # how often a `while` is taken to run


def place(program: Program) -> Program:
    """The program with a `share` at every cut; values beyond it are secret."""
    graph = _Graph()
    _edges(program.body, 1.0, graph)
    for param in program.body.params:
        if param.visibility.is_private:
            graph.edge(_SOURCE, (param.id, False), _INFINITE)
    if not graph.nodes:
        return program
    kept = graph.source_side()
    counter = [max(_ids(program.body), default=-1) + 1]
    return Program(program.name, program.inputs, _Rewrite(kept, counter).block(program.body))


def _ids(block: Block) -> Iterable[int]:
    yield from block.vars()
    for eqn in block.equations:
        for inner in eqn.blocks:
            yield from _ids(inner)


# ---- the graph ------------------------------------------------------------------------------------------------------

Node = tuple[int, bool]  # (value, False): where it is computed; (value, True): where it is used
_SOURCE, _SINK = (-1, False), (-2, False)


@dataclass
class _Graph:
    nodes: dict[Node, int] = field(default_factory=dict)
    out: list[list[int]] = field(default_factory=list)
    head: list[int] = field(default_factory=list)
    room: list[float] = field(default_factory=list)

    def node(self, name: Node) -> int:
        if name not in self.nodes:
            self.nodes[name] = len(self.out)
            self.out.append([])
        return self.nodes[name]

    def edge(self, a: Node, b: Node, room: float) -> None:
        for tail, head, capacity in ((a, b, room), (b, a, 0.0)):
            self.out[self.node(tail)].append(len(self.head))
            self.head.append(self.node(head))
            self.room.append(capacity)

    def source_side(self) -> set[Node]:
        """What the source reaches after a maximum flow (Dinic)."""
        source, sink = self.node(_SOURCE), self.node(_SINK)
        while True:
            level = self._levels(source)
            if level[sink] < 0:
                return {name for name, i in self.nodes.items() if level[i] >= 0}
            at = [0] * len(self.out)
            while self._push(source, sink, level, at):
                pass

    def _levels(self, source: int) -> list[int]:
        level = [-1] * len(self.out)
        level[source], queue = 0, deque([source])
        while queue:
            a = queue.popleft()
            for e in self.out[a]:
                if self.room[e] > 0 and level[self.head[e]] < 0:
                    level[self.head[e]] = level[a] + 1
                    queue.append(self.head[e])
        return level

    def _push(self, source: int, sink: int, level: list[int], at: list[int]) -> bool:
        """One path of the level graph, without recursion; False if there is none."""
        path: list[int] = []
        a = source
        while a != sink:
            while at[a] < len(self.out[a]):
                e = self.out[a][at[a]]
                if self.room[e] > 0 and level[self.head[e]] == level[a] + 1:
                    break
                at[a] += 1
            if at[a] == len(self.out[a]):
                if not path:
                    return False
                a = self.head[path.pop() ^ 1]
                at[a] += 1
                continue
            path.append(self.out[a][at[a]])
            a = self.head[path[-1]]
        flow = min(self.room[e] for e in path)
        for e in path:
            self.room[e] -= flow
            self.room[e ^ 1] += flow
        return True


def _edges(block: Block, rounds: float, graph: _Graph) -> None:
    known = block.vars()
    for v in known.values():
        if v.visibility.is_private:
            # An order is not shared: it is made of shares, or followed by its owner.
            cut = _INFINITE if v.type.dtype == "order" else max(v.type.size, 1) * rounds
            graph.edge((v.id, False), (v.id, True), cut)
    for eqn in block.equations:
        inputs = [known[i] for i in eqn.inputs]
        if eqn.blocks:
            _control_edges(eqn, inputs, rounds, graph)
            continue
        out = eqn.outputs[0]
        for v in inputs:
            _use(v, out, graph)
        if out.visibility.is_private and inputs:
            op = ops.find(eqn.op)
            price = op.price([v.visibility.is_private for v in inputs], [v.type for v in inputs], out.type)
            if price:
                graph.edge(_SOURCE, (out.id, False), price * rounds)


def _use(v: Var, by: Var, graph: _Graph) -> None:
    """`by` is computed from v, or stands for it in a block."""
    if not v.visibility.is_private:
        return
    if by.visibility == v.visibility:
        graph.edge((v.id, True), (by.id, False), _INFINITE)
        graph.edge((by.id, False), (v.id, False), _INFINITE)
    else:
        graph.edge((v.id, True), _SINK, _INFINITE)


def _equal(v: Var, w: Var, graph: _Graph) -> None:
    """Both private or both shared."""
    if v.visibility.is_private:
        graph.edge((v.id, False), (w.id, False), _INFINITE)
        graph.edge((w.id, False), (v.id, False), _INFINITE)


def _control_edges(eqn: Equation, inputs: Sequence[Var], rounds: float, graph: _Graph) -> None:
    inner = rounds * {"loop": eqn.attrs.get("length", 1), "while": _ROUNDS}.get(eqn.op, 1)
    for block in eqn.blocks:
        _edges(block, max(inner, 1.0), graph)
    for v, p in _bindings(eqn, inputs):
        _use(v, p, graph)
    for p, o in _carried(eqn):
        _equal(p, o, graph)
    if eqn.op == "cond":  # one operand is the same parameter of every branch
        for block in eqn.blocks[1:]:
            for p, q in zip(eqn.blocks[0].params, block.params, strict=True):
                _equal(p, q, graph)
    if eqn.op == "while":
        test, body = eqn.blocks
        carries = len(eqn.outputs)
        for p, q in zip(
            test.params[len(test.params) - carries :], body.params[len(body.params) - carries :], strict=True
        ):
            _equal(p, q, graph)


def _bindings(eqn: Equation, inputs: Sequence[Var]) -> Iterable[tuple[Var, Var]]:
    """(value, what stands for it): operands and parameters, results and parameters or outputs."""
    known = [block.vars() for block in eqn.blocks]
    if eqn.op == "loop":
        (body,) = eqn.blocks
        consts, carries = eqn.attrs["consts"], eqn.attrs["carries"]
        results = [known[0][i] for i in body.results]
        yield from zip(inputs, body.params, strict=True)
        yield from zip(results[:carries], body.params[consts : consts + carries], strict=True)
        yield from zip(results[carries:], eqn.outputs[carries:], strict=True)
    elif eqn.op == "while":
        test, body = eqn.blocks
        first, second = eqn.attrs["cond_consts"], eqn.attrs["body_consts"]
        start = inputs[first + second :]
        yield from zip([*inputs[:first], *start], test.params, strict=True)
        yield from zip([*inputs[first : first + second], *start], body.params, strict=True)
        yield from zip([known[1][i] for i in body.results], body.params[second:], strict=True)
    else:
        for block, names in zip(eqn.blocks, known, strict=True):
            yield from zip(inputs[1:], block.params, strict=True)
            yield from zip([names[i] for i in block.results], eqn.outputs, strict=True)


def _carried(eqn: Equation) -> Iterable[tuple[Var, Var]]:
    """(parameter, output) of the carries of a loop."""
    if eqn.op == "loop":
        consts, carries = eqn.attrs["consts"], eqn.attrs["carries"]
        yield from zip(eqn.blocks[0].params[consts : consts + carries], eqn.outputs[:carries], strict=True)
    elif eqn.op == "while":
        yield from zip(eqn.blocks[1].params[eqn.attrs["body_consts"] :], eqn.outputs, strict=True)


# ---- writing it down ------------------------------------------------------------------------------------------------


class _Rewrite:
    def __init__(self, kept: set[Node], counter: list[int]) -> None:
        self.kept, self.counter = kept, counter

    def visibility(self, v: Var) -> Visibility:
        return SECRET if v.visibility.is_private and (v.id, False) not in self.kept else v.visibility

    def var(self, v: Var) -> Var:
        return Var(v.id, v.type, self.visibility(v))

    def block(self, block: Block, wanted: Sequence[Visibility] | None = None) -> Block:
        """The block with shares; `wanted` are the visibilities that its results must have."""
        known = block.vars()
        shared: dict[int, int] = {}
        equations: list[Equation] = []

        def define(v: Var) -> Var:
            new = self.var(v)
            if new.visibility.is_private and (v.id, True) not in self.kept:
                shared[v.id] = self.counter[0]
                self.counter[0] += 1
            return new

        def say(v: Var, where: str) -> None:
            if v.id in shared:
                out = Var(shared[v.id], v.type, SECRET)
                equations.append(Equation("share", (v.id,), (out,), {}, (), where))

        def use(i: int, by: Visibility) -> int:
            return shared[i] if self.visibility(known[i]).is_private and by == SECRET else i

        params = tuple(define(p) for p in block.params)
        for p in block.params:
            say(p, "")
        for eqn in block.equations:
            inputs = self.operands(eqn, use)
            blocks = self.blocks(eqn)
            outputs = tuple(define(v) for v in eqn.outputs)
            equations.append(replace(eqn, inputs=inputs, blocks=blocks, outputs=outputs))
            for v in eqn.outputs:
                say(v, eqn.where)
        results = block.results
        if wanted is not None:
            results = tuple(use(i, by) for i, by in zip(results, wanted, strict=True))
        return Block(params, tuple(equations), results)

    def operands(self, eqn: Equation, use: Callable[[int, Visibility], int]) -> tuple[int, ...]:
        if not eqn.blocks:
            by = self.visibility(eqn.outputs[0])
            return tuple(use(i, by) for i in eqn.inputs)
        params = _parameters(eqn)
        return tuple(
            use(i, self.visibility(p)) if p is not None else i for i, p in zip(eqn.inputs, params, strict=True)
        )

    def blocks(self, eqn: Equation) -> tuple[Block, ...]:
        if not eqn.blocks:
            return ()
        outs = [self.visibility(v) for v in eqn.outputs]
        if eqn.op == "while":
            return (self.block(eqn.blocks[0]), self.block(eqn.blocks[1], outs))
        return tuple(self.block(block, outs) for block in eqn.blocks)


def _parameters(eqn: Equation) -> list[Var | None]:
    """What each operand is bound to (the first block's parameter where there are several)."""
    if eqn.op == "loop":
        return list(eqn.blocks[0].params)
    if eqn.op == "while":
        first = eqn.attrs["cond_consts"]
        return [*eqn.blocks[0].params[:first], *eqn.blocks[1].params]
    return [None, *eqn.blocks[0].params]
