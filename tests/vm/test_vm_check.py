"""Programs as data: bytes, text and hash, and what is refused on receipt."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argot.errors import EncodeError, ProgramError
from argot.vm.check import check, load
from argot.vm.conformance import on_plain
from argot.vm.ir import PUBLIC, SECRET, Block, Equation, Program, TensorType, Var, private, renumber
from argot.vm.lower import Spec, trace
from argot.vm.parser import parse


def everything(x, y, n, c):
    """Loops, branches, indexing, choice: most kinds of equation."""
    x = jax.lax.fori_loop(0, 3, lambda i, v: jnp.where(c, v * 0.5, v) + x[i % 2], x)
    y = jax.lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] * 0.5 + y.sum()), (0, y))[1]
    y = jax.lax.switch(n, [lambda v: v * 2, lambda v: v - x.sum(), lambda v: -v], y)
    return x @ y.T, jax.nn.sigmoid(x), jnp.argmax(y, 1), x[n], jnp.pad(y, 1), x > 0


PROGRAM = trace(
    everything,
    [
        Spec((3, 4), visibility=private(0), name="x"),
        Spec((2, 4), visibility=private(1)),
        Spec((), "int64", PUBLIC),
        Spec((), "bool"),
    ],
).program
BYTES = PROGRAM.to_bytes()


def same(a: Program, b: Program) -> bool:
    return a.to_bytes() == b.to_bytes()


def test_bytes_round_trip():
    assert same(load(BYTES), PROGRAM)
    assert load(BYTES).hash() == PROGRAM.hash()
    assert PROGRAM.inputs[0] == "x"


def test_the_dtype_of_a_constant_is_one_that_programs_have():
    """NumPy evaluates the text of a dtype; that of another party never gets there."""
    sent = trace(lambda x: x + jnp.array([1.0, 2.0, 4.0]), [Spec((3,))]).program.to_bytes()
    assert b"<f8" in sent and load(sent)
    for dtype in (b"9i8", b"(2)", b"m8s", b"<c8"):
        with pytest.raises(ProgramError):
            load(sent.replace(b"<f8", dtype))


def test_text_round_trip():
    assert same(parse(str(PROGRAM)), PROGRAM)
    assert same(load(parse(str(PROGRAM)).to_bytes()), PROGRAM)


def test_text_names_the_line_that_cannot_be_read():
    lines = str(PROGRAM).splitlines()
    lines[6] = "  %3 = nonsense"
    with pytest.raises(ProgramError, match="line 7"):
        parse("\n".join(lines))


def test_hash_is_of_the_meaning():
    """Source lines do not count; everything else does."""
    moved = renumber(PROGRAM)
    body = moved.body
    elsewhere = Block(body.params, tuple(replace(e, where="other.py:1") for e in body.equations), body.results)
    assert Program(moved.name, moved.inputs, elsewhere).hash() == PROGRAM.hash()
    assert Program("another", moved.inputs, body).hash() != PROGRAM.hash()
    fewer = Program(moved.name, moved.inputs, Block(body.params, body.equations, body.results[:-1]))
    assert fewer.hash() != PROGRAM.hash()


def test_hash_does_not_change_between_traces():
    again = trace(everything, [Spec((3, 4), visibility=private(0), name="x"), Spec((2, 4), visibility=private(1)),
                               Spec((), "int64", PUBLIC), Spec((), "bool")])  # fmt: skip
    assert again.program.hash() == PROGRAM.hash()


# ---- what is refused ------------------------------------------------------------------------------------------------

FIXED = TensorType("fixed", (3,))


SECRET_INPUT = (Var(0, FIXED, SECRET),)


def program(*equations, results=(1,), params=SECRET_INPUT):
    return Program("p", tuple("x" for _ in params), Block(tuple(params), tuple(equations), tuple(results)))


def neg(number=1, of=0, type_=FIXED, visibility=SECRET, **changes):
    return replace(Equation("neg", (of,), (Var(number, type_, visibility),)), **changes)


def test_the_smallest_program_is_legal():
    check(program(neg()))


TWO = (Var(0, FIXED, private(0)), Var(1, FIXED, private(1)))
REFUSED = {
    "an unknown operation": (program(neg(op="explode")), "operation 'explode'"),
    "a use before definition": (program(neg(inputs=(5,))), "used before its definition"),
    "another type": (program(neg(type_=TensorType("fixed", (4,)))), "gives fixed\\[3\\]"),
    "another dtype": (program(neg(type_=TensorType("i64", (3,)))), "gives fixed\\[3\\]"),
    "a secret called public": (program(neg(visibility=PUBLIC)), "gives a secret value"),
    "too many operands": (program(neg(inputs=(0, 0))), "2 operands of neg"),
    "an attribute too many": (program(neg(attrs={"axis": 0})), "attributes"),
    "an attribute of another type": (
        program(Equation("reduce_sum", (0,), (Var(1, TensorType("fixed"), SECRET),), {"axes": "0"})),
        "attribute axes",
    ),
    "a result that does not exist": (program(neg(), results=(7,)), "does not define"),
    "two parties' data unshared": (
        program(Equation("add", (0, 1), (Var(2, FIXED, SECRET),)), params=TWO, results=(2,)),
        "a share first",
    ),
    "a share that stays private": (
        program(Equation("share", (0,), (Var(2, FIXED, private(0)),)), params=TWO, results=(2,)),
        "gives a secret value",
    ),
    "secret positions": (
        program(
            Equation("take", (0, 1), (Var(2, FIXED, SECRET),)),
            params=(Var(0, FIXED, SECRET), Var(1, TensorType("i64", (3,)), SECRET)),
            results=(2,),
        ),
        "operand 1 of take is secret",
    ),
    "a power of secrets": (
        program(Equation("power", (0, 0), (Var(1, FIXED, SECRET),))),
        "operand 0 of power is secret",
    ),
    "an invented range": (
        program(Equation("lt", (0, 0), (Var(1, TensorType("bool", (3,)), SECRET),), {"bound": 2})),
        "bound 2 of lt",
    ),
    "an enormous shape": (
        program(
            Equation(
                "broadcast",
                (0,),
                (Var(1, TensorType("fixed", (2**45, 3)), SECRET),),
                {"shape": (2**45, 3), "dims": (1,)},
            )
        ),
        "of shape",
    ),
    "a while on a secret": (
        program(
            Equation(
                "while",
                (0,),
                (Var(5, FIXED, SECRET),),
                {"cond_consts": 0, "body_consts": 0},
                (
                    Block(
                        (Var(1, FIXED, SECRET),),
                        (Equation("lt", (1, 1), (Var(2, TensorType("bool", (3,)), SECRET),), {"bound": None}),),
                        (2,),
                    ),
                    Block((Var(3, FIXED, SECRET),), (neg(4, 3),), (4,)),
                ),
            ),
            results=(5,),
        ),
        "one public bool",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    wrong, message = REFUSED[name]
    with pytest.raises(ProgramError, match=message):
        load(wrong.to_bytes())


def test_a_gap_in_the_numbering_is_refused():
    with pytest.raises(ProgramError, match="dense numbering"):
        check(program(neg(number=2), results=(2,)))


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_damaged_bytes_are_refused_or_legal(data):
    """Any change of the bytes gives ProgramError or another legal program; never another exception."""
    damaged = bytearray(BYTES)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 20))
    damaged = damaged[: len(damaged) - cut] if cut > 15 else damaged
    with suppress(ProgramError):
        check(load(bytes(damaged)))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_swapped_equations_are_refused_or_legal(data):
    """Operands, attributes and types of one equation put into another."""
    equations = list(PROGRAM.body.equations)
    i, j = (data.draw(st.integers(0, len(equations) - 1)) for _ in range(2))
    part = data.draw(st.sampled_from(["op", "inputs", "outputs", "attrs", "blocks"]))
    equations[i] = replace(equations[i], **{part: getattr(equations[j], part)})
    changed = Program(PROGRAM.name, PROGRAM.inputs, Block(PROGRAM.body.params, tuple(equations), PROGRAM.body.results))
    with suppress(ProgramError):
        check(changed)


@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    with pytest.raises(ProgramError):
        load(noise)


def test_nesting_is_bounded():
    block = Block((Var(0, FIXED, SECRET),), (), (0,))
    for _ in range(60):
        inner = renumber(Program("p", ("x",), block)).body
        loop = Equation(
            "loop", (1000,), (Var(1001, FIXED, SECRET),),
            {"length": 1, "consts": 0, "carries": 1, "reverse": False}, (inner,),
        )  # fmt: skip
        block = Block((Var(1000, FIXED, SECRET),), (loop,), (1001,))
    deep = renumber(Program("p", ("x",), block))
    with pytest.raises(ProgramError, match="nested"):
        load(deep.to_bytes())


def test_encoding_names_the_first_bad_value():
    traced = trace(lambda x: x @ x.T, [Spec((2, 2))]).program
    with pytest.raises(EncodeError, match=r"index \(0, 0\)"):
        on_plain(traced, [np.full((2, 2), np.nan)])
