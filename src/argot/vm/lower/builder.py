"""Makes programs: folds constants, shares equal equations, hoists out of loops, and delays public factors.

A `Ref` is a value under construction. Three things about it are not in the program (yet):

* Constants stay arrays until an equation needs them. A constant that is the same everywhere is kept as a scalar with
  a larger type, so `1.0` broadcast to a million elements costs nothing.
* A pending `scale` is a public factor that was not multiplied yet: `0.1 * (x @ y) / n` passes through sums, products
  and reshapes and is applied once, to the smallest array, with full precision. Between 2^-10 and 4, so that what is
  computed in between stays within 10 bits of what the program says (bound of products: `docs/reference`).
* The scope: an equation of a loop body that uses only what is outside goes outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...errors import ArgotError, ProgramError
from .. import ops
from ..interval import UNKNOWN, Interval, of_array, scaled
from ..interval_patterns import Known
from ..interval_rules import result
from ..ir import PUBLIC, SECRET, Block, Equation, TensorType, Var, Visibility, attr_key, ir_dtype
from ..ops.base import DEFAULTED, PROMISES, Op
from .public import name_of
from .simplify import simplify

Array = np.ndarray[Any, np.dtype[Any]]

FOLD = 4096  # constants of more elements are computed at run time
CAPTURED = 64  # arrays of more elements that a function brings along must be declared public
SMALL = 64  # constants of more elements are stated once, outside of loops
MIN_SCALE, MAX_SCALE = 2.0**-10, 4.0


class Scope:
    """Equations of one block under construction."""

    def __init__(self, parent: Scope | None, hoist: bool) -> None:
        self.parent, self.hoist = parent, hoist
        self.depth: int = parent.depth + 1 if parent else 0
        self.floor: int = (parent.floor if parent else 0) if hoist else self.depth
        self.params: list[Var] = []
        self.equations: list[Equation] = []
        self.memo: dict[Any, Ref] = {}

    def at(self, depth: int) -> Scope:
        scope = self
        while scope.depth > depth and scope.parent is not None:
            scope = scope.parent
        return scope


@dataclass(frozen=True, eq=False, slots=True)
class Ref:
    """A value of the program being made: a variable in a scope, or a constant."""

    type: TensorType
    visibility: Visibility
    id: int = -1
    depth: int = 0
    value: Array | None = None  # of a constant; 0-d if equal everywhere
    scale: float = 1.0

    @property
    def uniform(self) -> float | int | bool | None:
        """The value of a constant that is the same everywhere."""
        return self.value.item() if self.value is not None and self.value.ndim == 0 else None

    def is_uniform(self, value: float) -> bool:
        return self.uniform is not None and self.uniform == value


@dataclass
class Builder:
    """Where rules put their equations: `b.emit("mul", x, y)`. `general` names functions that are computed in the
    general way where a protocol has its own."""

    general: frozenset[str] = frozenset()
    scope: Scope = field(default_factory=lambda: Scope(None, True))
    where: str = ""
    count: int = 0
    draws: int = 0
    made: dict[int, Ref] = field(default_factory=dict)
    made_by: dict[int, tuple[Equation, tuple[Ref, ...]]] = field(default_factory=dict)
    intervals: dict[int, Interval] = field(default_factory=dict)

    def capture(self, value: Any, type_: TensorType | None = None) -> Ref:
        """An array that the function brought along. Raises ProgramError if it is large and not declared public."""
        array = np.asarray(value)
        if array.size <= CAPTURED:
            return self.constant(array, type_)
        name = name_of(array)
        if name is None:
            raise ProgramError(
                f"the function captures an array {array.dtype.name}{list(array.shape)}",
                wanted=f"at most {CAPTURED} elements: constants become public, part of the program",
                todo="pass it as an argument, or say that it is public: argot.public(x)",
                where=self.where or None,
            )
        return self._state(array.astype(TensorType(ir_dtype(array.dtype)).numpy), self.scope.at(0), name)

    # ---- values -----------------------------------------------------------------------------------------------------

    def constant(self, value: Any, type_: TensorType | None = None) -> Ref:
        """A constant; with `type_`, a scalar value repeated to that type."""
        array = np.asarray(value)
        if type_ is None:
            dtype = "fixed" if array.dtype.kind == "f" else ops.find("const").infer(value=array).dtype
            type_ = TensorType(dtype, array.shape)
        array = array.astype(type_.numpy)
        if array.ndim and array.size and array.size <= FOLD and _equal_everywhere(array):
            array = array.reshape(-1)[0]
        return Ref(type_, PUBLIC, value=np.asarray(array))

    def parameter(self, type_: TensorType, visibility: Visibility) -> Ref:
        """A new parameter of the current scope."""
        var = self._var(type_, visibility)
        self.scope.params.append(var)
        return self._ref(var, self.scope)

    def _var(self, type_: TensorType, visibility: Visibility) -> Var:
        self.count += 1
        return Var(self.count - 1, type_, visibility)

    def _ref(self, var: Var, scope: Scope) -> Ref:
        self.made[var.id] = Ref(var.type, var.visibility, var.id, scope.depth)
        return self.made[var.id]

    def producer(self, x: Ref) -> tuple[str, tuple[Ref, ...], Mapping[str, Any]]:
        """The operation that made a value, its operands and attributes; ("", (), {}) for parameters and constants."""
        found = self.made_by.get(x.id)
        return ("", (), {}) if found is None or x.value is not None else (found[0].op, found[1], found[0].attrs)

    def interval(self, x: Ref) -> Interval:
        """What is known of the range of a value while the program is made."""
        if x.value is not None:
            return of_array(x.value)
        found = self._interval(x.id)
        return found if x.scale == 1.0 else scaled(found, x.scale)

    def _interval(self, i: int) -> Interval:
        return self.intervals.get(i, UNKNOWN)

    def _source(self, i: int) -> Equation | None:
        found = self.made_by.get(i)
        return None if found is None else found[0]

    # ---- equations --------------------------------------------------------------------------------------------------

    def emit(self, op: str, *refs: Ref, **attrs: Any) -> Ref:
        """The result of an operation: folded, found again, or a new equation. Promises are left to `ranges`."""
        rule = ops.find(op)
        given = {name: None if name in PROMISES else op in self.general for name in rule.attrs if name in DEFAULTED}
        attrs = {**given, **attrs}
        if rule.form == "elementwise" and len({x.type.shape for x in refs if x.type.shape}) > 1:
            refs = self._alike(refs)
        if all(x.value is not None for x in refs) and op != "order" and not rule.draws:
            folded = self._fold(rule, refs, attrs)
            if folded is not None:
                return folded
        simple = simplify(self, op, refs, attrs)
        if simple is not None:
            return simple
        refs, scale = self._scales(op, refs, attrs)
        made = self._place(rule, refs, attrs)
        return made if scale == 1.0 else self.scaled(made, scale)

    def _alike(self, refs: tuple[Ref, ...]) -> tuple[Ref, ...]:
        """Operands of one shape: axes of length 1 repeated, as newer versions of JAX leave to the operation."""
        shape = np.broadcast_shapes(*(x.type.shape for x in refs))
        return tuple(
            x
            if x.type.shape in ((), shape)
            else self.emit("broadcast", x, shape=shape, dims=tuple(range(len(shape) - len(x.type.shape), len(shape))))
            for x in refs
        )

    def scaled(self, x: Ref, factor: float) -> Ref:
        """x times a public factor, delayed where that is safe."""
        if x.value is not None:
            return self.constant(x.value * factor, x.type)
        scale = x.scale * factor
        if factor == 0.0 or not np.isfinite(scale):
            return self.constant(0.0, x.type) if factor == 0.0 else self._apply(x, factor)
        if abs(scale) > MAX_SCALE:
            return self._apply(replace(x, scale=1.0), scale)
        if abs(scale) < MIN_SCALE:
            now = 2.0 ** int(np.ceil(np.log2(abs(scale) / MIN_SCALE)) - 1)
            return self._apply_part(x, now, scale)
        return replace(x, scale=scale)

    def _apply_part(self, x: Ref, now: float, scale: float) -> Ref:
        return replace(self._apply(replace(x, scale=1.0), now), scale=scale / now)

    def _apply(self, x: Ref, factor: float) -> Ref:
        """x times a factor, as an equation."""
        if x.scale != 1.0:
            factor, x = factor * x.scale, replace(x, scale=1.0)
        op, operands, _ = self.producer(x)
        if op == "convert" and operands[0].type.dtype == "bool" and factor != 1.0:
            # A bit times a number is a choice between two numbers, which is exact.
            return self.emit("select", operands[0], self.constant(factor, x.type), self.constant(0.0, x.type))
        if op == "mul" and factor != 1.0 and any(v.visibility == PUBLIC for v in operands):
            # (y * public) * factor: one product with a public number instead of two.
            y, known = operands if operands[1].visibility == PUBLIC else operands[::-1]
            known = self.emit("mul", known, self.constant(factor, known.type))
            return self._place(ops.find("mul"), (y, known), {})
        return self._place(ops.find("mul"), (x, self.constant(factor, x.type)), {}) if factor != 1.0 else x

    def settle(self, x: Ref) -> Ref:
        """x with its pending factor applied."""
        return x if x.scale == 1.0 else self._apply(replace(x, scale=1.0), x.scale)

    def _scales(self, op: str, refs: tuple[Ref, ...], attrs: Mapping[str, Any]) -> tuple[tuple[Ref, ...], float]:
        """Operands without pending factors, and the factor of the result."""
        if all(x.scale == 1.0 for x in refs):
            return refs, 1.0
        rule = ops.find(op)
        if rule.scaling == "alike" and len({abs(x.scale) for x in refs}) == 1:
            common, bare = refs[0].scale, _bare(refs)
            signs = (x.scale == common for x in refs)
            return tuple(x if same else self.emit("neg", x) for x, same in zip(bare, signs, strict=True)), common
        if rule.scaling in ("linear", "bilinear"):
            out = rule.infer(*(x.type for x in refs), **attrs)
            refs = tuple(self.settle(x) if out.size > x.type.size else x for x in refs)
            return _bare(refs), float(np.prod([x.scale for x in refs]))
        return tuple(map(self.settle, refs)), 1.0

    def _place(self, rule: Op, refs: tuple[Ref, ...], attrs: Mapping[str, Any]) -> Ref:
        """A new equation in the outermost scope that has its operands, or the same one made before."""
        depth = max((x.depth for x in refs if x.value is None), default=0)
        scope = self.scope.at(max(depth, self.scope.floor))
        wanted = self._infer(rule, [x.type for x in refs], attrs)
        ordered = wanted.dtype == "order"
        if ordered or rule.draws:  # no block takes an order from outside; each round of a loop has its own draw
            scope = self.scope
        operands = tuple(self.operand(x, scope, rule) for x in refs)
        if self._infer(rule, [x.type for x in operands], attrs) != wanted:
            operands = tuple(self.operand(x, scope) for x in refs)
        key = (rule.name, tuple(x.id for x in operands), tuple(sorted((n, attr_key(v)) for n, v in attrs.items())))
        known: Scope | None = scope
        while known is not None:
            if key in known.memo:
                return known.memo[key]
            known = None if ordered else known.parent
        visibility = SECRET if rule.draws else PUBLIC
        for x in operands:
            visibility = visibility.join(x.visibility)
        out = self._var(wanted, visibility)
        eqn = Equation(rule.name, tuple(x.id for x in operands), (out,), dict(attrs), (), self.where)
        scope.equations.append(eqn)
        made = self._ref(out, scope)
        intervals = [self.interval(x) for x in operands]
        self.made_by[out.id] = (eqn, refs)
        facts = Known(self._source, self._interval)
        self.intervals[out.id] = result(eqn, intervals, [x.type for x in operands], facts)
        scope.memo[key] = made
        return made

    def _infer(self, rule: Op, types: Sequence[TensorType], attrs: Mapping[str, Any]) -> TensorType:
        try:
            return rule.infer(*types, **attrs)
        except ArgotError as error:
            error.where = error.where or self.where
            raise

    def operand(self, x: Ref, scope: Scope | None = None, rule: Op | None = None) -> Ref:
        """x as a variable that equations of `scope` may use: settled, and stated if it is a constant.

        Elementwise operations take a scalar for a constant that is the same everywhere.
        """
        if x.value is None:
            return self.settle(x)
        scope = scope or self.scope
        if x.value.dtype.kind == "f" and bool(np.isnan(x.value).any()):
            raise ProgramError(
                "a NaN that reaches a computation",
                wanted="finite constants",
                todo="choose a number that means nothing instead, and a boolean that says so",
                where=self.where or None,
            )
        if x.value.shape == x.type.shape or (rule is not None and rule.form == "elementwise"):
            return self._state(x.value, scope)
        if x.type.size <= SMALL:
            return self._state(np.broadcast_to(x.value, x.type.shape).copy(), scope)
        inner, self.scope = self.scope, scope
        scalar = self._state(x.value, scope)
        wide = self._place(ops.find("broadcast"), (scalar,), {"shape": x.type.shape, "dims": ()})
        self.scope = inner
        return wide

    def _state(self, value: Array, scope: Scope, name: str = "") -> Ref:
        """A constant as an equation: large ones outermost, so that loops do not repeat them."""
        if value.size > SMALL:
            scope = scope.at(0)
        value = np.array(value, order="C")
        key = ("const", name, attr_key(value))
        if key in scope.memo:
            return scope.memo[key]
        value.setflags(write=False)
        type_ = TensorType(ops.find("const").infer(value=value).dtype, value.shape)
        out = self._var(type_, PUBLIC)
        scope.equations.append(Equation("const", (), (out,), {"value": value, "name": name}, (), self.where))
        scope.memo[key] = self._ref(out, scope)
        self.intervals[out.id] = of_array(value)
        return scope.memo[key]

    def _fold(self, rule: Op, refs: tuple[Ref, ...], attrs: Mapping[str, Any]) -> Ref | None:
        out = self._infer(rule, [x.type for x in refs], attrs)
        same = bool(refs) and all(x.value is not None and x.value.ndim == 0 for x in refs)
        if same and rule.form == "elementwise":
            return self.constant(rule.clear(*(_value(x) for x in refs), **attrs), out)
        if refs and rule.form == "move" and _value(refs[0]).ndim == 0:
            return Ref(out, PUBLIC, value=refs[0].value)
        if max((out.size, *(x.type.size for x in refs))) > FOLD:
            return None
        full = [np.broadcast_to(_value(x), x.type.shape) for x in refs]
        return self.constant(rule.clear(*full, **attrs), out)

    # ---- blocks -----------------------------------------------------------------------------------------------------

    @contextmanager
    def block(self, hoist: bool) -> Iterator[Scope]:
        """A scope for a block; equations may leave it if `hoist`."""
        outer, self.scope = self.scope, Scope(self.scope, hoist)
        try:
            yield self.scope
        finally:
            self.scope = outer

    def close(self, scope: Scope, results: Sequence[Ref]) -> tuple[Block, list[Ref]]:
        """A finished scope as a block, its captures first among the parameters; and the captured values."""
        ids = [x.id for x in results]
        equations = live(scope.equations, ids)
        inside = {p.id for p in scope.params} | {v.id for eqn in equations for v in eqn.outputs}
        used = [i for eqn in equations for i in eqn.inputs] + ids
        outside = list(dict.fromkeys(i for i in used if i not in inside))
        captured = [self.made[i] for i in outside]
        params = [self._var(x.type, x.visibility) for x in captured]
        renamed = {i: p.id for i, p in zip(outside, params, strict=True)}
        return (
            Block(
                (*params, *scope.params),
                tuple(_rename(eqn, renamed) for eqn in equations),
                tuple(renamed.get(i, i) for i in ids),
            ),
            captured,
        )

    def spare(self, refs: Sequence[Ref]) -> list[Var]:
        """Parameters like these values, for a block that does not use them."""
        return [self._var(x.type, x.visibility) for x in refs]

    def control(
        self, op: str, inputs: Sequence[Ref], blocks: Sequence[Block], outs: Sequence[tuple[TensorType, Visibility]],
        **attrs: Any,
    ) -> list[Ref]:  # fmt: skip
        """An equation with blocks, in the current scope."""
        variables = tuple(self._var(t, v) for t, v in outs)
        ids = tuple(self.operand(x).id for x in inputs)
        self.scope.equations.append(Equation(op, ids, variables, attrs, tuple(blocks), self.where))
        return [self._ref(v, self.scope) for v in variables]


def live(equations: Sequence[Equation], results: Sequence[int]) -> list[Equation]:
    """The equations that results depend on."""
    needed, kept = set(results), []
    for eqn in reversed(equations):
        if any(v.id in needed for v in eqn.outputs):
            needed.update(eqn.inputs)
            kept.append(eqn)
    return kept[::-1]


def _rename(eqn: Equation, renamed: Mapping[int, int]) -> Equation:
    return replace(eqn, inputs=tuple(renamed.get(i, i) for i in eqn.inputs))


def _bare(refs: Sequence[Ref]) -> tuple[Ref, ...]:
    return tuple(replace(x, scale=1.0) if x.scale != 1.0 else x for x in refs)


def _value(x: Ref) -> Array:
    assert x.value is not None
    return x.value


def _equal_everywhere(array: Array) -> bool:
    flat = array.reshape(-1)
    return bool(np.all(flat == flat[0])) or bool(array.dtype.kind == "f" and np.all(np.isnan(flat)))
