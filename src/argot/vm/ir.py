"""Programs: a small typed SSA form that says what is public, private or secret.

    Program  = a name, named inputs and a body
    Block    = parameters, equations in order, results; closed: it sees its own parameters and nothing else
    Equation = an operation, its operands, attributes, blocks (loops, cond) and outputs
    Var      = a value: number, type, visibility

Values are numbered densely in the order of definition (parameters of a block first, an equation's blocks before its
outputs), so a program has exactly one form, and its bytes and hash are canonical. Source lines travel beside the
program and are not part of the hash.

A program is data. Whatever came from another party goes through `check.load`, which decodes and checks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import msgspec
import numpy as np

from argot._core import prf

from ..errors import ProgramError
from .printer import print_program

VERSION = 1

# Every float of the user is "fixed" here: the fixed point of the device that runs the program.
NUMPY: dict[str, np.dtype[Any]] = {
    "bool": np.dtype(np.bool_),
    "i8": np.dtype(np.int8),
    "i16": np.dtype(np.int16),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
    "u8": np.dtype(np.uint8),
    "u16": np.dtype(np.uint16),
    "u32": np.dtype(np.uint32),
    "u64": np.dtype(np.uint64),
    "fixed": np.dtype(np.float64),
    "order": np.dtype(np.int64),  # a permutation: `ops.order` has what may be done with one
}
WIRE = {dtype.newbyteorder("<").str: dtype for dtype in NUMPY.values()}
DTYPES = tuple(name for name in NUMPY if name != "order")
INTEGERS = tuple(name for name in DTYPES if name not in ("bool", "fixed"))


def ir_dtype(dtype: Any) -> str:
    """The IR dtype of a NumPy dtype. Raises ProgramError for complex, text and the like."""
    dtype = np.dtype(dtype)
    for name, found in NUMPY.items():
        if found == dtype:
            return name
    if dtype.kind == "f" or dtype.name == "bfloat16":
        return "fixed"
    parts = "pass real and imaginary parts; inside of a function, jax.lax.complex(real, imag)"
    raise ProgramError(
        f"dtype {dtype.name}",
        wanted="bool, an integer of up to 64 bits, or a float",
        todo=parts if dtype.kind == "c" else "",
    )


@dataclass(frozen=True, slots=True)
class TensorType:
    """dtype and shape, as in `fixed[8,3]`."""

    dtype: str
    shape: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def numpy(self) -> np.dtype[Any]:
        return NUMPY[self.dtype]

    def with_shape(self, shape: Sequence[int]) -> TensorType:
        return TensorType(self.dtype, tuple(shape))

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class Visibility:
    """Who knows a value: everybody, one party (by rank), or nobody."""

    rank: int

    @property
    def is_private(self) -> bool:
        return self.rank >= 0

    def join(self, other: Visibility) -> Visibility:
        """The visibility of what is computed from both."""
        if self == other or other == PUBLIC:
            return self
        return other if self == PUBLIC else SECRET

    def __str__(self) -> str:
        return {-1: "public", -2: "secret"}.get(self.rank, f"private({self.rank})")


PUBLIC, SECRET = Visibility(-1), Visibility(-2)


def private(rank: int) -> Visibility:
    """Known to the party of this rank only."""
    if rank < 0:
        raise ValueError(f"rank {rank}")
    return Visibility(rank)


@dataclass(frozen=True, slots=True)
class Var:
    """One value of a program."""

    id: int
    type: TensorType
    visibility: Visibility


@dataclass(frozen=True, slots=True)
class Equation:
    """outputs = op(inputs), with attributes and blocks. `where` is the user's `file:line`, if known."""

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[Var, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    where: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """Equations over parameters; `results` are numbers of values defined here."""

    params: tuple[Var, ...]
    equations: tuple[Equation, ...]
    results: tuple[int, ...]

    def vars(self) -> dict[int, Var]:
        """The values defined in this block itself (not in the blocks of its equations)."""
        found = {v.id: v for v in self.params}
        for eqn in self.equations:
            found.update((v.id, v) for v in eqn.outputs)
        return found

    def walk(self) -> Iterator[Equation]:
        """All equations, those of inner blocks before the one that holds them."""
        for eqn in self.equations:
            for block in eqn.blocks:
                yield from block.walk()
            yield eqn


@dataclass(frozen=True, slots=True)
class Program:
    """A whole program. `inputs` names the parameters of the body."""

    name: str
    inputs: tuple[str, ...]
    body: Block

    @property
    def parameters(self) -> tuple[Var, ...]:
        return self.body.params

    @property
    def results(self) -> tuple[Var, ...]:
        found = self.body.vars()
        return tuple(found[i] for i in self.body.results)

    @property
    def constants(self) -> tuple[tuple[str, TensorType], ...]:
        """The constants that were declared public: (name, type), in order."""
        return tuple(
            (eqn.attrs["name"], eqn.outputs[0].type)
            for eqn in self.body.walk()
            if eqn.op == "const" and eqn.attrs["name"]
        )

    def hash(self) -> bytes:
        """BLAKE3 of the canonical bytes without source lines, 32 bytes."""
        return bytes(prf.hash(b"argot program\0" + _encoder.encode(_pack(self, lines=False))))

    def to_bytes(self) -> bytes:
        """The form that travels; `check.load` reads it."""
        return _encoder.encode(_pack(self, lines=True))

    def __str__(self) -> str:
        return print_program(self)


def same_attr(a: Any, b: Any) -> bool:
    """Equality of attributes; arrays by dtype, shape and bytes."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return attr_key(a) == attr_key(b)
    return type(a) is type(b) and bool(a == b)


def attr_key(value: Any) -> Any:
    """A hashable form of an attribute."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, float):
        return value.hex()
    return (type(value).__name__, value)


def renumber(program: Program) -> Program:
    """The same program with values numbered densely in order of definition."""
    return Program(program.name, program.inputs, _renumber(program.body, [0]))


def _renumber(block: Block, counter: list[int]) -> Block:
    numbers: dict[int, int] = {}

    def define(var: Var) -> Var:
        numbers[var.id] = counter[0]
        counter[0] += 1
        return Var(numbers[var.id], var.type, var.visibility)

    params = tuple(define(v) for v in block.params)
    equations = []
    for eqn in block.equations:
        inputs = tuple(numbers[i] for i in eqn.inputs)
        blocks = tuple(_renumber(b, counter) for b in eqn.blocks)
        outputs = tuple(define(v) for v in eqn.outputs)
        equations.append(Equation(eqn.op, inputs, outputs, eqn.attrs, blocks, eqn.where))
    return Block(params, tuple(equations), tuple(numbers[i] for i in block.results))


# ---- bytes ----------------------------------------------------------------------------------------------------------


class _Array(msgspec.Struct, frozen=True):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


_Scalar = None | bool | int | float | str
_Attr = _Scalar | list[Any] | _Array


class _Var(msgspec.Struct, frozen=True, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    visibility: int


class _Equation(msgspec.Struct, frozen=True, array_like=True):
    op: str
    inputs: tuple[int, ...]
    outputs: tuple[_Var, ...]
    attrs: dict[str, _Attr]
    blocks: tuple[_Block, ...]


class _Block(msgspec.Struct, frozen=True, array_like=True):
    params: tuple[_Var, ...]
    equations: tuple[_Equation, ...]
    results: tuple[int, ...]


class _Program(msgspec.Struct, frozen=True, array_like=True):
    version: int
    name: str
    inputs: tuple[str, ...]
    body: _Block
    lines: tuple[str, ...] = ()


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(_Program)


def _pack(program: Program, lines: bool) -> _Program:
    where = tuple(eqn.where for eqn in program.body.walk()) if lines else ()
    return _Program(VERSION, program.name, program.inputs, _pack_block(program.body), where)


def _pack_block(block: Block) -> _Block:
    return _Block(
        tuple(map(_pack_var, block.params)),
        tuple(
            _Equation(
                e.op,
                e.inputs,
                tuple(map(_pack_var, e.outputs)),
                {name: _pack_attr(value) for name, value in e.attrs.items()},
                tuple(map(_pack_block, e.blocks)),
            )
            for e in block.equations
        ),
        block.results,
    )


def _pack_var(var: Var) -> _Var:
    return _Var(var.type.dtype, var.type.shape, var.visibility.rank)


def _pack_attr(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _Array(value.dtype.str, value.shape, value.astype(value.dtype.newbyteorder("<")).tobytes())
    return value


def unpack(data: bytes) -> Program:
    """The inverse of `Program.to_bytes`, not checked: use `check.load`. Raises ProgramError."""
    try:
        wire = _decoder.decode(data)
        if wire.version != VERSION:
            raise ProgramError(f"a program of version {wire.version}", wanted=f"version {VERSION}")
        lines = iter(wire.lines)
        return Program(wire.name, wire.inputs, _unpack_block(wire.body, [0], lines))
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ProgramError("bytes that are not a program", wanted="what Program.to_bytes made") from error


def _unpack_block(block: _Block, counter: list[int], lines: Iterator[str]) -> Block:
    params = tuple(_unpack_var(v, counter) for v in block.params)
    equations = []
    for e in block.equations:
        blocks = tuple(_unpack_block(b, counter, lines) for b in e.blocks)
        outputs = tuple(_unpack_var(v, counter) for v in e.outputs)
        attrs = {name: _unpack_attr(value) for name, value in e.attrs.items()}
        equations.append(Equation(e.op, e.inputs, outputs, attrs, blocks, next(lines, "")))
    return Block(params, tuple(equations), block.results)


def _unpack_var(var: _Var, counter: list[int]) -> Var:
    if var.dtype not in NUMPY or var.visibility < -2:
        raise ProgramError(f"a value of dtype {var.dtype[:20]!r} and visibility {var.visibility}")
    counter[0] += 1
    return Var(counter[0] - 1, TensorType(var.dtype, var.shape), Visibility(var.visibility))


def _unpack_attr(value: Any) -> Any:
    if isinstance(value, _Array):
        dtype = WIRE.get(value.dtype)  # NumPy evaluates what it is given: nothing of a peer
        if dtype is None:
            raise ProgramError("a constant of a dtype that programs do not have")
        array = np.frombuffer(value.data, dtype.newbyteorder("<")).astype(dtype).reshape(value.shape)
        array.setflags(write=False)
        return array
    if isinstance(value, list):
        return tuple(_unpack_attr(item) for item in value)
    return value
