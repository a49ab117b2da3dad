"""Kernels of the protocols; crates/ring/src/kernels_*.rs say what they compute."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Planes = NDArray[np.uint64]
Packed = NDArray[np.uint8]
Jobs = NDArray[np.int64]
Key = bytes

def pack(x: Array, bits: int) -> Packed: ...
def unpack(packed: Packed, bits: int, out: Array) -> None: ...

# Truncation: (rest, unit, near, far); (high, product, side); `high` is changed.
def trunc_first(r: Array, d: int, rho: Key, unit: Key, near: Key, far: Key) -> tuple[Array, Packed, Array, Array]: ...
def trunc_meet(
    c1: Array,
    c2: Array | None,
    d: int,
    mask: Key,
    drawn: tuple[Key, Key] | None = None,
    received: tuple[Array, Packed] | None = None,
) -> tuple[Array, Packed, Array]: ...
def trunc_last(high: Array, own: Packed, peer: Packed, d: int) -> None: ...

# The form with a dealer: a plane; the dealt message; (mask, half), the mask in `out` if given.
def trunc_units(x: Array, also: Array | None, lifted: bool) -> Planes: ...
def trunc_deal(rho: Planes, s: Planes, like: Array, d: int, key: Key) -> Packed: ...
def trunc_half(
    x: Array,
    also: Array | None,
    d: int,
    own: Planes,
    c: Planes,
    told: Planes,
    mask_key: Key,
    key: Key | None = None,
    received: Packed | None = None,
    out: Array | None = None,
) -> tuple[Array, Array]: ...

# Comparison by keys: bytes of one; the dealt message; a plane.
def compare_len(bound: int) -> int: ...
def compare_deal(r: Array, bound: int, cipher: Key, first: Key, second: Key) -> Packed: ...
def compare_sign(c: Array, bound: int, cipher: Key, root: Key, second: bool, dealt: Packed) -> Planes: ...

# Carries: `masks` of the products are changed, those of the outputs copied.
def leaf_products(m: Planes, jobs: Jobs, masks: Planes) -> None: ...
def leaf_join(shares: Planes, n: Planes, jobs: Jobs, lead: bool, masks: Planes) -> Planes: ...
def node_products(u0: Planes, u1: Planes, jobs: Jobs, masks: Planes) -> None: ...
def node_join(shares: Planes, u: Planes, v: Planes, jobs: Jobs, lead: bool, masks: Planes) -> Planes: ...
def inner_products(m: Planes, u0: Planes, u1: Planes, jobs: Jobs, masks: Planes) -> None: ...
def inner_join(
    leaf_shares: Planes,
    shares: Planes,
    n: Planes,
    u: Planes,
    v: Planes,
    jobs: Jobs,
    lead: bool,
    masks: Planes,
) -> Planes: ...

# Bits times numbers: (product, unit); (mask, half), the mask in `out` if given; the packed message; `out` is changed.
def select_split(
    u0: Planes, u1: Planes, a0: Array, a1: Array, product_key: Key, unit_key: Key
) -> tuple[Array, Array]: ...
def select_join(
    v: Planes,
    part_a: Array,
    part_b: Array | None,
    c: Array,
    mask_key: Key,
    drawn: tuple[Key, Key] | None = None,
    received: tuple[Array, Array] | None = None,
    out: Array | None = None,
) -> tuple[Array, Array]: ...
def compose_split(u: Planes, like: Array, key: Key) -> Packed: ...
def compose_join(v: Planes, out: Array, lead: bool, key: Key | None = None, received: Packed | None = None) -> None: ...

# Sorting by a digit: parts of one-hot codes, uint32 (count - 1, n); `code` is changed.
def code_rename(code: Array, names: Array, lead: bool) -> None: ...
def code_places(own: Array, next: Array, leads: tuple[bool, bool], row: int, begins: Array | None = None) -> Array: ...
