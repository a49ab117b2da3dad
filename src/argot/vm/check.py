"""What a legal program is.

`check` raises ProgramError, and nothing else, for anything that is not: agents call it on whatever they receive, so
it assumes nothing but the classes of `ir`. What it guarantees: values are numbered densely and used after their
definition in their own block; types are those the operations give; nothing of one party meets anything of another or
a secret without an explicit `share`; indices and conditions that must be public are; no range is narrower than what
the program proves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ArgotError, ProgramError
from . import ops, ranges
from .ir import PUBLIC, SECRET, Block, Equation, Program, TensorType, Var, Visibility, unpack
from .ops.base import Op
from .ops.control import Control

# More than any sensible program has; a bound for what an agent will look at.
MAX_EQUATIONS = 500_000
MAX_DEPTH = 32
MAX_RANK = 32
MAX_ELEMENTS = 2**40


def load(data: bytes) -> Program:
    """A program from bytes that another party sent. Raises ProgramError, and nothing else."""
    program = unpack(data)
    check(program)
    return program


def check(program: Program) -> None:
    """Raises ProgramError with the equation that is wrong; returns if there is none."""
    _require(len(program.inputs) == len(program.body.params), "names and inputs that do not match")
    _require(len(program.name) <= 500 and all(len(n) <= 500 for n in program.inputs), "a name above 500 letters")
    _Checker().block(program.body, 0)
    try:
        ranges.verify(program)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError, ArithmeticError) as error:
        raise ProgramError("ranges that cannot be followed") from error


class _Checker:
    def __init__(self) -> None:
        self.defined = 0
        self.equations = 0

    def define(self, var: Var, known: dict[int, Var]) -> None:
        _require(var.id == self.defined, f"%{var.id} defined as number {self.defined}", "dense numbering")
        shape = var.type.shape
        ok = len(shape) <= MAX_RANK and all(type(n) is int and 0 <= n < MAX_ELEMENTS for n in shape)
        _require(ok and var.type.size < MAX_ELEMENTS, f"%{var.id} of shape {shape}")
        self.defined += 1
        known[var.id] = var

    def block(self, block: Block, depth: int) -> dict[int, Var]:
        _require(depth <= MAX_DEPTH, f"blocks nested more than {MAX_DEPTH} deep")
        known: dict[int, Var] = {}
        for param in block.params:
            _require(param.type.dtype != "order", f"a parameter {param.type}", "numbers or booleans")
            self.define(param, known)
        for eqn in block.equations:
            self.equations += 1
            _require(self.equations <= MAX_EQUATIONS, f"more than {MAX_EQUATIONS} equations")
            try:
                self.equation(eqn, known, depth)
            except ArgotError as error:
                if error.where is None:
                    error.what = f"{error.what} (equation {eqn.op[:40]})"
                    error.where = eqn.where or "an equation without a source line"
                raise
        missing = [i for i in block.results if i not in known]
        _require(not missing, f"a block returns %{missing[:1]}, which it does not define")
        orders = [i for i in block.results if known[i].type.dtype == "order"]
        _require(not orders, f"a block returns an order, %{orders[:1]}", "numbers or booleans")
        return known

    def equation(self, eqn: Equation, known: dict[int, Var], depth: int) -> None:
        op = ops.find(eqn.op)
        unknown = [i for i in eqn.inputs if i not in known]
        _require(not unknown, f"%{unknown[:1]} used before its definition")
        inputs = [known[i] for i in eqn.inputs]
        _attributes(op, eqn)
        if isinstance(op, Control):
            self.control(op, eqn, inputs, known, depth)
            return
        _require(not eqn.blocks, "a block where none belongs")
        # Following an order opens it, shuffled: no other value may be taken for one, and none may be made of one.
        ordered = [v.type for v in inputs if v.type.dtype == "order"]
        _require(op.uses_orders or not ordered, f"{op.name} of an order", "take_order, put_order or index_of")
        arity_ok = len(inputs) == op.arity if op.arity is not None else len(inputs) > 0
        _require(arity_ok, f"{len(inputs)} operands of {op.name}", f"{op.arity or 'one or more'}")
        _require(len(eqn.outputs) == 1, f"{len(eqn.outputs)} outputs of {op.name}", "one")
        visibility = visibility_of(op, inputs)
        wanted = _infer(op, [v.type for v in inputs], dict(eqn.attrs))
        out = eqn.outputs[0]
        _require(out.type == wanted, f"{op.name} gives {wanted}, not {out.type}")
        _require(out.visibility == visibility, f"{op.name} gives a {visibility} value, not a {out.visibility} one")
        self.define(out, known)

    def control(self, op: Control, eqn: Equation, inputs: list[Var], known: dict[int, Var], depth: int) -> None:
        count = len(eqn.blocks)
        _require(count == op.blocks if op.blocks else count >= 1, f"{count} blocks of {op.name}")
        inner = [self.block(b, depth + 1) for b in eqn.blocks]
        results = [[scope[i] for i in b.results] for b, scope in zip(eqn.blocks, inner, strict=True)]
        if op.name == "loop":
            _loop(eqn, inputs, results[0])
        elif op.name == "while":
            _while(eqn, inputs, results)
        else:
            _cond(eqn, inputs, results)
        for out in eqn.outputs:
            self.define(out, known)


def visibility_of(op: Op, inputs: Sequence[Var]) -> Visibility:
    """Who knows the result. Raises ProgramError for mixtures that were not shared, and operands that must be public."""
    if op.name == "share" or op.draws:
        return SECRET
    result = PUBLIC
    for place, v in enumerate(inputs):
        must = op.clear_only or place in op.public_operands or (op.name.startswith("dynamic_") and is_index(op, place))
        _require(not must or v.visibility == PUBLIC, f"operand {place} of {op.name} is {v.visibility}", "public")
        if v.visibility != PUBLIC:
            _require(
                result in (PUBLIC, v.visibility), f"{op.name} of {result} and {v.visibility} values", "a share first"
            )
            result = v.visibility
    return result


def is_index(op: Op, place: int) -> bool:
    """Whether this operand of dynamic_slice or dynamic_update is an index."""
    return place >= (1 if op.name == "dynamic_slice" else 2)


def _attributes(op: Op, eqn: Equation) -> None:
    _require(set(eqn.attrs) == set(op.attrs), f"attributes {sorted(eqn.attrs)} of {op.name}", f"{sorted(op.attrs)}")
    for name, valid in op.attrs.items():
        _require(_holds(valid, eqn.attrs[name]), f"attribute {name} of {op.name} cannot be used")


def _holds(valid: Any, value: Any) -> bool:
    try:
        return bool(valid(value))
    except (TypeError, ValueError):
        return False


def _infer(op: Op, types: list[TensorType], attrs: dict[str, Any]) -> TensorType:
    try:
        return op.infer(*types, **attrs)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError) as error:
        raise ProgramError(f"{op.name} of {', '.join(map(str, types))} with these attributes") from error


def _loop(eqn: Equation, inputs: list[Var], results: list[Var]) -> None:
    length, consts, carries = eqn.attrs["length"], eqn.attrs["consts"], eqn.attrs["carries"]
    body = eqn.blocks[0]
    ok = min(length, consts, carries) >= 0 and consts + carries <= len(inputs) == len(body.params)
    _require(ok and len(results) == len(eqn.outputs) >= carries, "a loop whose operands and block do not match")
    whole, rows = inputs[: consts + carries], inputs[consts + carries :]
    _bind(whole, body.params[: consts + carries])
    _bind([_row(v, length) for v in rows], body.params[consts + carries :])
    carried = body.params[consts : consts + carries]
    _bind(results[:carries], carried)
    _same(eqn.outputs[:carries], carried)
    for out, row in zip(eqn.outputs[carries:], results[carries:], strict=True):
        wanted = row.type.with_shape((length, *row.type.shape))
        _require(out.type == wanted and out.visibility == row.visibility, "rows of a loop, stacked differently")


def _row(v: Var, length: int) -> Var:
    _require(v.type.shape[:1] == (length,), f"rows of {v.type} in a loop of {length}")
    return Var(v.id, v.type.with_shape(v.type.shape[1:]), v.visibility)


def _while(eqn: Equation, inputs: list[Var], results: list[list[Var]]) -> None:
    first, second = eqn.attrs["cond_consts"], eqn.attrs["body_consts"]
    _require(min(first, second) >= 0 and first + second <= len(inputs), "a while without its operands")
    test, body = eqn.blocks
    a, b, carried = inputs[:first], inputs[first : first + second], inputs[first + second :]
    ok = len(test.params) == first + len(carried) and len(body.params) == second + len(carried)
    _require(ok and len(results[1]) == len(eqn.outputs) == len(carried), "a while whose blocks do not match")
    _bind(a, test.params[:first])
    _bind(b, body.params[:second])
    params = body.params[second:]
    _bind(carried, params)
    _same(test.params[first:], params)
    _bind(results[1], params)
    _same(eqn.outputs, params)
    ok = len(results[0]) == 1 and results[0][0].type == TensorType("bool")
    _require(ok and results[0][0].visibility == PUBLIC, "the test of a while", "one public bool")


def _cond(eqn: Equation, inputs: list[Var], results: list[list[Var]]) -> None:
    ok = bool(inputs) and inputs[0].type == TensorType("i32") and inputs[0].visibility == PUBLIC
    _require(ok, "the choice of a cond", "a public i32")
    for block, found in zip(eqn.blocks, results, strict=True):
        _require(len(block.params) == len(inputs) - 1 and len(found) == len(eqn.outputs), "blocks of a cond")
        _bind(inputs[1:], block.params)
        _bind(found, eqn.outputs)


def _bind(values: Sequence[Var], params: Sequence[Var]) -> None:
    """Values may stand where params do: equal types; equal visibility, or public ones anywhere."""
    for v, p in zip(values, params, strict=True):
        _require(v.type == p.type, f"{v.type} where a block has {p.type}")
        ok = v.visibility in (PUBLIC, p.visibility)
        _require(ok, f"a {v.visibility} value where a block has a {p.visibility} one", "a share first")


def _same(values: Sequence[Var], params: Sequence[Var]) -> None:
    for v, p in zip(values, params, strict=True):
        _require(v.type == p.type and v.visibility == p.visibility, f"{v.type} {v.visibility}, not {p.type}")


def _require(condition: bool, what: str, wanted: str | None = None) -> None:
    if not condition:
        raise ProgramError(what, wanted=wanted)
