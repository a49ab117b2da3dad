"""`docs/reference/functions.md`: which functions programs may use, and how wrong each protocol's results are.

python tests/conformance/function_table.py > docs/reference/functions.md
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from forms import on_pages
from functions import FUNCTIONS, MISSING, SECTIONS, Array, Function, Missing

from argot import mpc
from argot.errors import ArgotError, UnsupportedError
from argot.vm.conformance import on_world
from argot.vm.ir import NUMPY, PUBLIC, SECRET, Program, ir_dtype
from argot.vm.lower import Spec, trace
from argot.vm.lower.example import Arg

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "functions.md"

INTRODUCTION = """# Functions

What users call: functions of `jax.numpy` (`jnp`), `jax.nn`, `jax.lax`, `jax.scipy.special`, `jax.numpy.linalg`, and
JAX's transformations. Each row is tested on every protocol, with secret arguments of the dtypes named, on matrices,
with broadcasting, without elements and without axes where that makes sense. float32 and float64 are one kind.

The columns of the protocols have the largest error measured, |found - wanted| / max(1, |wanted|) against JAX in
float64, rounded up to 1, 2 or 5; the step of the grid is 3.8e-6. "exact" is no error at all, as for all integers and
booleans. A protocol without the function has "no". `plain` is the reference in the clear. Arguments are of everyday
size, mostly within [-4, 4]; larger ranges are in [accuracy.md](accuracy.md), limits in [primitives.md](primitives.md).
"""

ABSENT = """## What there is not

Each is an error when the program is made, before anything is computed.

| function | instead |
| --- | --- |
"""


@cache
def program_of(function: Function) -> Program:
    """All cases of a function as one program."""
    specs = [
        tuple(
            Spec(array.shape, array.dtype.name, PUBLIC if isinstance(arg, Arg) and arg.public else SECRET)
            for arg, array in zip(case.args, arrays, strict=True)
        )
        for case, arrays in zip(function.cases, function.arrays(), strict=True)
    ]
    return trace(lambda *cases: results(function, cases), specs).program


def results(function: Function, arguments: Any) -> list[Any]:
    """The results of all cases."""
    return [case.fn(*arrays) for case, arrays in zip(function.cases, arguments, strict=True)]


@cache
def expected(function: Function) -> list[Array]:
    """What JAX says, in 64 bits."""
    with jax.enable_x64(True):
        arguments = [[jax.numpy.asarray(a) for a in arrays] for arrays in function.arrays()]
        found = jax.jit(lambda *cases: results(function, cases))(*arguments)
        return [np.asarray(leaf) for leaf in jax.tree.leaves(found)]


@cache
def measure(function: Function, protocol: mpc.Form) -> float | None:
    """The largest error on a protocol; None if it does not have the function.

    Raises AssertionError where shapes, dtypes, integers or booleans are not those of JAX.
    """
    flat = [array for arrays in function.arrays() for array in arrays]
    program = program_of(function)
    try:
        found, _ = on_world(protocol, program, flat)
    except UnsupportedError:
        return None
    worst = 0.0
    for a, b in zip(found, expected(function), strict=True):
        assert a.shape == b.shape
        assert a.dtype == NUMPY[ir_dtype(b.dtype)]
        if b.dtype.kind == "f":
            worst = max(worst, float((np.abs(a - b) / np.maximum(1, np.abs(b))).max(initial=0.0)))
        else:
            np.testing.assert_array_equal(a, b)
    return worst


def refusal(missing: Missing) -> ArgotError:
    """The error that a function raises that there is not. Raises AssertionError if it raises none."""
    try:
        trace(missing.fn, [Spec(a.shape, a.dtype) for a in missing.args])
    except ArgotError as error:
        return error
    raise AssertionError(f"{missing.name} is traced")


def rounded(error: float) -> float:
    """Up to 1, 2 or 5 times a power of ten."""
    if error == 0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(error))
    return float(f"{next(d for d in (1, 2, 5, 10) if error <= d * power * (1 + 1e-9)) * power:.0e}")


def shown(error: float | None) -> str:
    if error is None:
        return "no"
    return f"{rounded(error):.0e}".replace("e-0", "e-") if error else "exact"


def read(cell: str) -> float | None:
    """The reverse of `shown`."""
    return None if cell == "no" else 0.0 if cell == "exact" else float(cell)


def kinds(function: Function) -> str:
    """The dtypes of the secret arguments."""
    found = {np.dtype(a.dtype) for case in function.cases for a in case.args if not (isinstance(a, Arg) and a.public)}
    names = {"b": "bool", "i": "int", "u": "uint", "f": "float"}
    return ", ".join(name for kind, name in names.items() if any(d.kind == kind for d in found))


def table(cells: Any = lambda function, protocol: shown(measure(function, protocol))) -> str:
    """The tables; `cells(function, protocol)` is what stands below a protocol."""
    protocols = on_pages()
    lines = []
    for title, functions in SECTIONS.items():
        lines += [f"## {title}", "", f"| function | dtypes | {' | '.join(map(repr, protocols))} | note |"]
        lines += ["| --- " * (3 + len(protocols)) + "|"]
        for function in functions:
            errors = " | ".join(cells(function, protocol) for protocol in protocols)
            lines.append(
                f"| `{function.name}` | {kinds(function)} | {errors} | {function.note.replace('|', chr(92) + '|')} |"
            )
        lines.append("")
    absent = "".join(f"| `{m.name}` | {refusal(m).todo} |\n" for m in MISSING)
    return "\n".join(lines) + "\n" + ABSENT + absent


def documented() -> dict[tuple[str, str], str]:
    """The cells of the page: function, protocol -> what stands there."""
    found: dict[tuple[str, str], str] = {}
    header: list[str] = []
    for line in PAGE.read_text().splitlines():
        row = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if row[:2] == ["function", "dtypes"]:
            header = row
        elif row and row[0].startswith("`") and len(row) == len(header):
            found |= {(row[0].strip("`"), p): cell for p, cell in zip(header[2:-1], row[2:-1], strict=True)}
    return found


if __name__ == "__main__":
    assert len({f.name for f in FUNCTIONS}) == len(FUNCTIONS)
    sys.stdout.write(f"{INTRODUCTION}\n{table()}")
