"""The only file that touches JAX: its semi-public types, its names, and how they differ between versions.

What leaves this file are plain classes (`Jaxpr`, `Eqn`, `Atom`), NumPy arrays and primitive names. JAX is imported
when something is traced, so that agents and `import argot` do without it. Supported: JAX 0.6 to 0.12.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..._core import sets
from ...errors import MissingExtra, ProgramError, TraceError
from ..ir import NUMPY, TensorType, ir_dtype
from ..ops.random import in_the_clear

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Atom:
    """An operand: a variable (by key) or a literal.

    `foreign` is JAX's name of a dtype that programs do not have. Random keys are carried as their data, and `type` is
    that of the data; of other foreign dtypes (complex numbers) there are no values, and `type` is None.
    """

    type: TensorType | None
    key: int | None
    value: Array | None = None
    foreign: str = ""


@dataclass(frozen=True, slots=True)
class Eqn:
    """One equation of a jaxpr."""

    primitive: str
    inputs: tuple[Atom, ...]
    outputs: tuple[Atom, ...]
    params: dict[str, Any]
    where: str
    effects: bool  # it does something beyond its results: prints, calls back
    source: Any  # JAX's own equation, for `evaluate`


@dataclass(frozen=True, slots=True)
class Jaxpr:
    """A jaxpr; `consts` are the values of the first parameters."""

    params: tuple[Atom, ...]
    consts: tuple[Array, ...]
    equations: tuple[Eqn, ...]
    results: tuple[Atom, ...]


@functools.cache
def jax() -> Any:
    """The module `jax`. Raises MissingExtra."""
    try:
        import jax as module
        import jax.experimental
        import jax.extend.core
        import jax.extend.source_info_util
        import jax.numpy
        import jax.scipy.special
    except ImportError as error:
        raise MissingExtra(
            "tracing a function needs JAX", todo="pip install 'argot[lab]' where the driver runs"
        ) from error
    return module


def _x64() -> Any:
    module = jax()
    if hasattr(module, "enable_x64"):
        return module.enable_x64(True)
    return module.experimental.enable_x64()  # before 0.8


def make(fn: Callable[..., Any], args: Sequence[Any]) -> tuple[Jaxpr, Any]:
    """The jaxpr of `fn` at flat arguments ((shape, NumPy dtype) pairs), in 64 bits, and the tree of its results.

    Raises TraceError, with the exception of the user as its cause, if `fn` raises.
    """
    module = jax()
    with _x64():
        specs = [module.ShapeDtypeStruct(shape, dtype) for shape, dtype in args]
        try:
            closed, out = module.make_jaxpr(fn, return_shape=True)(*specs)
        except MissingExtra:
            raise
        except Exception as error:
            raise _trace_error(error, fn) from error
        return read(closed), module.tree_util.tree_structure(out)


_ADVICE = {
    "TracerBoolConversionError": "use jnp.where or jax.lax.cond instead of `if`, `and`, `or`, `not` on array values",
    "TracerIntegerConversionError": "use a Python integer for shapes and static indices",
    "TracerArrayConversionError": "use jax.numpy instead of numpy on array values",
    "ConcretizationTypeError": "use jax.numpy functions, or pass the value as a plain Python argument; where the "
    "length of a result depends on values, say it: size=",
    "NonConcreteBooleanIndexError": "boolean masks have no fixed shape: use jnp.where",
    "UnexpectedTracerError": "do not keep traced arrays outside of the function",
}


def _trace_error(error: Exception, fn: Callable[..., Any]) -> TraceError:
    name = type(error).__name__
    first = str(error).strip().splitlines()[0] if str(error).strip() else name
    todo = _ADVICE.get(name, "the cause of this exception is the one your function raised")
    title = getattr(fn, "__name__", "the function")
    return TraceError(
        f"{title} raised {name}: {first}", wanted="a function of jax.numpy", todo=todo, where=_place(error)
    )


def _place(error: Exception) -> str | None:
    """file:line of the innermost frame that is neither JAX's nor ours."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = frame.filename.replace("\\", "/")
        inside = any(part in path for part in ("/jax/", "/jaxlib/", "/numpy/", "/argot/vm/", "/argot/api/"))
        if not inside and not path.startswith("<frozen"):
            return f"{Path(path).name}:{frame.lineno}"
    return None


def read(closed: Any) -> Jaxpr:
    """A ClosedJaxpr, or an open Jaxpr without constants, as plain classes.

    Dead equations are left out, but not those with effects: to drop what the user asked for is not for us.
    """
    open_ = getattr(closed, "jaxpr", closed)
    consts = tuple(_array(c) for c in getattr(closed, "consts", ()))
    keys = _Keys()
    params = tuple(keys.atom(v) for v in (*open_.constvars, *open_.invars))
    results = tuple(keys.atom(v) for v in open_.outvars)
    needed = {a.key for a in results}
    equations = []
    for eqn in reversed(open_.eqns):
        outputs = tuple(keys.atom(v) for v in eqn.outvars)
        name = str(eqn.primitive.name)
        effects = bool(eqn.effects) or "callback" in name
        if not effects and not any(a.key in needed for a in outputs):
            continue
        inputs = tuple(keys.atom(v) for v in eqn.invars)
        needed.update(a.key for a in inputs)
        equations.append(Eqn(name, inputs, outputs, dict(eqn.params), _line(eqn), effects, eqn))
    return Jaxpr(params, consts, tuple(equations[::-1]), results)


class _Keys:
    """Numbers for variables, which hash by identity."""

    def __init__(self) -> None:
        self.known: dict[Any, int] = {}

    def atom(self, v: Any) -> Atom:
        type_, foreign = _type(v.aval)
        if isinstance(v, jax().extend.core.Literal):
            return Atom(type_, None, _array(v.val), foreign)
        return Atom(type_, self.known.setdefault(v, len(self.known)), None, foreign)


def _type(aval: Any) -> tuple[TensorType | None, str]:
    """The type of what is carried, and JAX's name of a dtype that programs do not have."""
    name = ""
    if _is_key(aval):
        name, aval = str(aval.dtype), jax().eval_shape(jax().random.key_data, aval)
    try:
        return TensorType(ir_dtype(aval.dtype), tuple(int(n) for n in aval.shape)), name
    except (ProgramError, TypeError, AttributeError):  # complex numbers; JAX's own dtypes; no array at all
        return None, str(getattr(aval, "dtype", aval))


def _is_key(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return dtype is not None and bool(jax().dtypes.issubdtype(dtype, jax().dtypes.prng_key))


def _array(value: Any) -> Array:
    """A constant of a jaxpr; of random keys their data."""
    return np.asarray(jax().random.key_data(value) if _is_key(value) else value)


def evaluate(eqn: Eqn, operands: Sequence[Array]) -> list[Array]:
    """The results of an equation on constants, as JAX computes them; keys as their data. Raises what JAX raises."""
    module, source = jax(), eqn.source
    with _x64():
        values = []
        for v, array in zip(source.invars, operands, strict=True):
            if _is_key(v.aval):
                impl = v.aval.dtype._impl.name  # jax.random.key_impl asks for a key, and there is none yet
                values.append(module.random.wrap_key_data(array, impl=impl))
            else:
                values.append(module.numpy.asarray(array, v.aval.dtype))
        bound = source.primitive.get_bind_params(source.params)
        functions, params = bound if isinstance(bound, tuple) else ((), bound)  # a pair before JAX 0.10
        found = source.primitive.bind(*functions, *values, **params)
        return [_array(x) for x in (found if source.primitive.multiple_results else [found])]


def in_64_bits(fn: Callable[..., Any], *arrays: Array) -> Array:
    """What a function of JAX gives for these arrays."""
    with _x64():
        return np.asarray(fn(*map(jax().numpy.asarray, arrays)))


def _line(eqn: Any) -> str:
    try:
        text = jax().extend.source_info_util.summarize(eqn.source_info)
    except Exception:
        return ""  # a description for messages: whatever is wrong with it must not stop a program
    found = re.match(r"(.*?):(\d+)", text)
    return f"{Path(found[1]).name}:{found[2]}" if found else ""


def name_in_jax(jaxpr: Any) -> str:
    """The name of the function that was traced, if JAX itself defines it: a user's may have the same name. Else ""."""
    return _origin(jaxpr)[0]


def _origin(jaxpr: Any) -> tuple[str, str]:
    """The name and the module of the function of JAX that was traced; empty for other functions."""
    info = getattr(getattr(jaxpr, "jaxpr", jaxpr), "debug_info", None)
    name, _, path = str(getattr(info, "func_src_info", "")).replace("\\", "/").partition(" at ")
    _, inside, module = path.partition("/jax/_src/")
    return (name, "jax._src." + module.rpartition(".py")[0].replace("/", ".")) if inside else ("", "")


Axes = tuple[tuple[bool, ...], ...]
"""Of the arguments of a function under `jax.vmap`: for each time, the outermost first, which ones have an axis more."""


def as_defined(jaxpr: Any, arguments: int, batches: int) -> Axes | None:
    """How a call of a function of JAX was batched along first axes, () if it was not; None if it is no such call.

    What a transformation makes of a call keeps the name, but derivatives take and give other values: a call is
    recognised by what it computes, of that many arguments, batched at most that often.
    """
    name, module = _origin(jaxpr)
    avals = tuple(v.aval for v in getattr(jaxpr, "jaxpr", jaxpr).invars)
    if not module or len(avals) != arguments:
        return None
    some = [bits for bits in itertools.product((True, False), repeat=len(avals)) if any(bits)]
    form = _form(jaxpr)
    for times in range(batches + 1):
        for axes in itertools.product(some, repeat=times):
            if form in _forms(module, name, avals, axes):
                return axes
    return None


@functools.lru_cache(maxsize=4096)
def _forms(module: str, name: str, avals: tuple[Any, ...], axes: Axes) -> list[Any]:
    """What calls of a function of JAX compute, batched along these axes; nothing if it does not take such values."""
    try:
        function = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return []  # a file of somebody else in a folder of that name
    if not callable(function) or any(sum(bits[i] for bits in axes) > len(aval.shape) for i, aval in enumerate(avals)):
        return []
    for bits in reversed(axes):
        function = jax().vmap(function, in_axes=[0 if bit else None for bit in bits])
    specs = [jax().ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type) for a in avals]
    try:
        with _x64():
            traced = jax().make_jaxpr(function)(*specs)
    except Exception:
        return []  # derivatives have other arguments than the function
    calls = [inner for eqn in traced.jaxpr.eqns for inner in _nested(eqn.params)]
    return [_form(call) for call in calls if _origin(call) == (name, module)]


def _nested(params: Mapping[str, Any]) -> list[Any]:
    """The jaxprs of an equation."""
    return [value for value in params.values() if hasattr(getattr(value, "jaxpr", value), "eqns")]


def _form(jaxpr: Any) -> list[Any]:
    """What a jaxpr computes: its equations with their operands and plain parameters, variables by number."""
    body = read(jaxpr)
    equations = [
        (e.primitive, repr(e.inputs), repr(e.outputs), _plain(e.params), *map(_form, _nested(e.params)))
        for e in body.equations
    ]
    return [repr(body.params), equations, repr(body.results)]


def _plain(params: Mapping[str, Any]) -> str:
    """Parameters that are numbers, names, dtypes and tuples of them: axes above all."""
    kinds = (bool, int, float, str, tuple, np.dtype)
    return repr([(name, value) for name, value in sorted(params.items()) if isinstance(value, kinds)])


def numbers(params: Any) -> dict[str, Any]:
    """Dimension numbers of gather and scatter as plain tuples."""
    return {
        name: tuple(int(n) for n in getattr(params, name))
        for name in dir(params)
        if not name.startswith("_") and isinstance(getattr(params, name), tuple)
    }


def flatten(tree: Any, is_leaf: Callable[[Any], bool]) -> tuple[list[Any], Any]:
    """Leaves and structure of a pytree."""
    return jax().tree_util.tree_flatten(tree, is_leaf=is_leaf)  # type: ignore[no-any-return]


@functools.cache
def _within() -> Any:
    """The primitive `within`: the identity, with a derivative of 1, that leaves its range in the jaxpr."""
    jax()
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching, mlir

    primitive = Primitive("within")
    primitive.def_impl(lambda x, *, low, high: x)
    primitive.def_abstract_eval(lambda x, *, low, high: x)
    ad.defjvp(primitive, lambda g, x, *, low, high: g)
    batching.defvectorized(primitive)
    mlir.register_lowering(primitive, mlir.lower_fun(lambda x, *, low, high: x, multiple_results=False))
    return primitive


def bind_within(x: Any, low: float, high: float) -> Any:
    return _within().bind(jax().numpy.asarray(x), low=low, high=high)


@functools.cache
def _secret_random() -> Any:
    """The primitive `secret_random`: a draw, which plain JAX takes from the operating system."""
    module = jax()
    from jax.experimental import io_callback
    from jax.extend.core import Primitive
    from jax.interpreters import mlir

    def spec(dtype: str, shape: tuple[int, ...]) -> Any:
        return module.core.ShapedArray(shape, module.dtypes.canonicalize_dtype(NUMPY[dtype]))

    def called(*, dtype: str, shape: tuple[int, ...], bits: int) -> Any:
        found = spec(dtype, shape)
        return io_callback(lambda: in_the_clear(dtype, shape, bits).astype(found.dtype), found)

    primitive = Primitive("secret_random")
    primitive.def_impl(lambda *, dtype, shape, bits: module.numpy.asarray(in_the_clear(dtype, shape, bits)))
    primitive.def_abstract_eval(lambda *, dtype, shape, bits: spec(dtype, shape))
    mlir.register_lowering(primitive, mlir.lower_fun(called, multiple_results=False))
    return primitive


def bind_random(dtype: str, shape: Sequence[int], bits: int) -> Any:
    return _secret_random().bind(dtype=dtype, shape=tuple(int(n) for n in shape), bits=bits)


@functools.cache
def _order_primitives() -> tuple[Any, Any, Any]:
    """The primitives of `argot.order`. In plain JAX an order is an array of indices."""
    module = jax()
    from jax.experimental import io_callback
    from jax.extend.core import Primitive
    from jax.interpreters import mlir

    numpy = module.numpy

    def spec(n: int) -> Any:
        return module.core.ShapedArray((n,), module.dtypes.canonicalize_dtype(np.int64))

    def drawn(n: int) -> Any:
        return sets.permutation(n).astype(spec(n).dtype)

    def by(*keys: Any) -> Any:
        return numpy.lexsort(keys[::-1]).astype(spec(keys[0].shape[0]).dtype)

    def follow(order: Any, x: Any, *, inverse: bool) -> Any:
        return numpy.zeros_like(x).at[order].set(x) if inverse else x[order]

    random, sort, rows = Primitive("random_order"), Primitive("sort_order"), Primitive("follow_order")
    random.def_impl(lambda *, n: numpy.asarray(drawn(n)))
    random.def_abstract_eval(lambda *, n: spec(n))
    called = mlir.lower_fun(lambda *, n: io_callback(lambda: drawn(n), spec(n)), multiple_results=False)
    mlir.register_lowering(random, called)
    sort.def_impl(by)
    sort.def_abstract_eval(lambda *keys: spec(keys[0].shape[0]))
    mlir.register_lowering(sort, mlir.lower_fun(by, multiple_results=False))
    rows.def_impl(follow)
    rows.def_abstract_eval(lambda order, x, *, inverse: module.core.ShapedArray(x.shape, x.dtype))
    mlir.register_lowering(rows, mlir.lower_fun(follow, multiple_results=False))
    return random, sort, rows


def bind_random_order(n: int) -> Any:
    return _order_primitives()[0].bind(n=n)


def bind_sort_order(keys: Sequence[Any]) -> Any:
    return _order_primitives()[1].bind(*map(jax().numpy.asarray, keys))


def bind_follow(order: Any, x: Any, inverse: bool) -> Any:
    return _order_primitives()[2].bind(order, jax().numpy.asarray(x), inverse=inverse)


def namespaces() -> Iterator[Any]:
    """`jax`, `jax.numpy` and `jax.lax`, for the examples of the rules."""
    module = jax()
    yield from (module, module.numpy, module.lax)
