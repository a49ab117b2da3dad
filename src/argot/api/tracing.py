"""A frozen function and the schemas of its inputs become a program: the driver's side of an MPC device."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from argot._core import prf

from ..agent import bodies
from ..devices import plain
from ..devices.mpc import tensor
from ..devices.schema import DTYPES, Fields, Items, Nothing, Schema, Tensor, build, leaves, same
from ..errors import InputError, ProgramError, RangeWarning, UnsupportedError
from ..graph.graph import Lowered, Ref
from ..graph.node import DeviceSpec
from ..vm.ir import SECRET, Program, Visibility, private
from ..vm.lower import Spec, trace
from ..vm.overflow import overflows

CACHE = 256
_cache: OrderedDict[bytes, Lowered] = OrderedDict()
_warned: dict[str | tuple[str, type[Warning], int], int] = {}


def lower(
    frozen: bytes,
    title: str,
    refs: list[Ref],
    device: DeviceSpec,
    returns: Schema | None,
    general: frozenset[str] = frozenset(),
) -> Lowered:
    """Trace the function. What was traced before, of the same bytes and types, is not traced again.

    Warns (RangeWarning) of values that may leave what the device's ring holds. Raises what `vm.lower.trace` raises, and
    InputError for inputs that are no numbers.
    """
    inputs = [list(_specs(ref, device)) for ref in refs]
    key = _key(frozen, title, inputs, returns, device, general)
    if key in _cache:
        _cache.move_to_end(key)
        return _cache[key]
    lowered = _lower(frozen, title, refs, inputs, returns, general)
    _warn(lowered.program, device)
    _cache[key] = lowered
    if len(_cache) > CACHE:
        _cache.popitem(last=False)
    return lowered


def _lower(
    frozen: bytes,
    title: str,
    refs: list[Ref],
    inputs: list[list[Spec]],
    returns: Schema | None,
    general: frozenset[str],
) -> Lowered:
    function, arguments = plain.thaw(frozen)
    numbered = iter(range(sum(map(len, inputs))))
    named = [[replace(s, name=f"x{next(numbered)}") for s in specs] for specs in inputs]
    trees = [_tree(ref, iter(specs)) for ref, specs in zip(refs, named, strict=True)]
    args, kwargs = plain.fill(arguments, trees)
    traced = trace(function, args, kwargs, name=title, general=general)
    program = traced.program
    schema = _schema(traced.out_tree.unflatten([tensor(v.type) for v in program.results]), title)
    if returns is not None and not same(schema, returns):
        raise ProgramError(f"{title} gives {schema}", wanted=f"{returns}, as declared by returns=")
    order = tuple(int(name[1:]) for name in program.inputs)
    body = bodies.Run(program.to_bytes(), schema, order)
    return Lowered(
        body=msgspec.msgpack.encode(body),
        schema=schema,
        leaves=tuple(v.visibility for v in program.results),
        constants=tuple(f"{name}: {type_}" for name, type_ in program.constants),
        program=program,
    )


def _warn(program: Program, device: DeviceSpec) -> None:
    """Once for each place and text, as Python's filter for warnings has it."""
    for found in overflows(program, device.ring, device.fraction_bits):
        file, _, line = found.where.rpartition(":")
        text = (
            f"{found.op} in {program.name} {found.how}: results would be wrong, without an error\n"
            f"  to do: declare the range of the data (argot.spec(..., low=, high=)) or promise a tighter one "
            f"(argot.within), scale it, or use fed.mpc(..., ring=128)"
        )
        warnings.warn_explicit(text, RangeWarning, file or program.name, int(line or 0), registry=_warned)


def _specs(ref: Ref, device: DeviceSpec) -> Iterator[Spec]:
    """What is known of every leaf of an input: shape, dtype, declared range, and who knows it."""
    schema, product = ref.schema, ref.product
    assert schema is not None
    check_numbers(ref)
    if product.visibility == "private":
        inside = product.owner in device.parties  # a value from outside is a secret before it comes here
        owner = private(device.parties.index(product.owner)) if inside else SECRET
        known = [owner for _ in leaves(schema)]
    else:
        known = leaves_of(ref)
    for (_, leaf), visibility in zip(leaves(schema), known, strict=True):
        assert isinstance(leaf, Tensor)
        yield Spec(leaf.shape, leaf.dtype, visibility, low=leaf.low, high=leaf.high)


def check_numbers(ref: Ref) -> None:
    """InputError for leaves that no device computes on."""
    assert ref.schema is not None
    for path, leaf in leaves(ref.schema):
        if not isinstance(leaf, Tensor) or leaf.dtype not in DTYPES:
            column = "".join(f"[{step!r}]" for step in (*ref.path, *path))
            raise InputError(
                f"{ref.product.record.title}(){column} of {ref.product.owner} is {leaf}",
                wanted="numbers or booleans on an MPC device",
                todo="choose numeric columns, or encode it in a function at its owner",
            )


def leaves_of(ref: Ref) -> list[Visibility]:
    """Who knows each leaf of a part of a value on a device."""
    product, schema = ref.product, ref.schema
    assert product.schema is not None and schema is not None
    known = dict(zip((path for path, _ in leaves(product.schema)), product.leaves, strict=True))
    prefix = ref.path[:-1] if ref.path and isinstance(ref.path[-1], tuple) else ref.path
    return [known[(*prefix, *path)] for path, _ in leaves(schema)]


def _tree(ref: Ref, specs: Iterator[Spec]) -> Any:
    assert ref.schema is not None
    return build(ref.schema, specs)


def _schema(tree: Any, title: str) -> Schema:
    """The schema of a tree of tensors, as JAX builds it."""
    if tree is None:
        return Nothing()
    if isinstance(tree, Tensor):
        return tree
    if isinstance(tree, list | tuple):
        return Items(tuple(_schema(item, title) for item in tree))
    if isinstance(tree, dict) and all(isinstance(name, str) for name in tree):
        return Fields(tuple(tree), tuple(_schema(item, title) for item in tree.values()))
    raise UnsupportedError(
        f"{title} returns a {type(tree).__name__}", wanted="arrays in lists, tuples, and dicts with text keys"
    )


def _key(
    frozen: bytes,
    title: str,
    inputs: list[list[Spec]],
    returns: Schema | None,
    device: DeviceSpec,
    general: frozenset[str],
) -> bytes:
    described = [[(list(s.shape), s.dtype, s.visibility.rank, s.low, s.high) for s in specs] for specs in inputs]
    rest = msgspec.msgpack.encode([title, described, returns, device.ring, device.fraction_bits, sorted(general)])
    return bytes(prf.hash(len(rest).to_bytes(8, "little") + rest + frozen))
