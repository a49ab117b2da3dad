"""`docs/reference/primitives.md`: what programs may use, from the rules themselves.

python -m argot.vm.lower.catalogue > docs/reference/primitives.md
"""

from __future__ import annotations

import sys

from .. import ops
from . import rules

# Names that a primitive has in other versions of JAX than the one tested; their rules call the one that is.
ALIASES = {
    "pjit": "jit",
    "checkpoint": "remat2",
    "closed_call": "jit",
    "custom_vjp_call_jaxpr": "custom_vjp_call",
    "copy_p": "copy",
    "lt_to": "lt",
    "le_to": "le",
    "log2": "log",
    "expand_dims": "reshape",
}

_INTRODUCTION = """# Primitives and operations

A function on an MPC device is plain JAX: `jax.numpy`, `jax.nn`, `jax.lax`, `jax.grad`, `jax.jit`, `jax.vmap`. It is
traced to JAX primitives, and each primitive has one rule. A primitive without a rule is an error that names your line.

- **Numbers.** Every float is the device's fixed point (18 fraction bits in a ring of 64 by default); integers and
  booleans are exact. A shared integer wraps at its own width when it is revealed, and at the ring's width before: it
  is compared and converted as if it had not wrapped. Comparisons of 64-bit integers are exact over all 64 bits, at two
  or three times the cost of those in a promised range (`argot.within`); their maxima along an axis, `argmax` and
  running maxima, and numbers of the other dtypes, need |x - y| < 2^63 in the ring.
- **Special functions.** `lgamma`, `digamma` of x > 0, `erf_inv` of |x| < 1 and Bessel functions are approximations to
  about 1e-4, and so is `log_ndtr`, also far down. `frexp` needs |x| < 2^17. `gcd` of secret integers takes some 20
  rounds for each of their bits: promise a range. A shift by a secret number costs one product of words for each bit of
  the number.
- **Division of integers** is exact, with the signs of JAX: `//` and `%` floor, `lax.div` and `lax.rem` round towards
  zero, x / 0 is -1. It needs |x|, |y| < 2^62 (2^(k-2) in a ring of k bits), which narrower dtypes always have: they
  wrap before they are divided, and so do operands of `&`, `|`, `^` and `>>`. Beyond that results are wrong, without an
  error. Dividing by a public number takes a few steps; by a secret one it goes bit by bit, about 5 rounds for each bit
  of x, so promise a range (`argot.within`). `lax.rem` and `jnp.fmod` of reals are exact too, for |x|, |y| < 2^26.
- **Products.** |x * y| must stay below 2^(k - 2f - 2), 2^26 by default, and so must every sum of products; results of
  a matrix product with 8 rows and 8 columns or more below half of that, 2^25, and of a convolution with 8 places and 8
  kernels. Public factors below 1 are applied once, at the end: `0.1 * (x @ y) / n` multiplies the product, not its
  parts. What is computed in between is up to 2^10 times larger than what the program says, so keep values of such
  expressions below 2^16 (2^15 with such matrices).
- **Constants.** Infinite constants and those out of range become the largest number that can be encoded. Questions
  for NaN and infinite numbers (`isnan`, `isfinite`) are answered when the program is made: there are none. A NaN
  constant that is used is an error.
- **Sorting** is stable and tells nobody anything: not the order, nor which elements are equal. `sort`, `argsort`,
  `lexsort`, `top_k`, `median` and `quantile` cost about 5 rounds for every three bits of a key, and sort by fewer bits
  what is promised to be small (`argot.within`).
- **Secret indices** choose single elements or rows: `x[i]`, `jnp.take`, `x.at[i].add`, `x.at[i].set` (at most 64),
  `lax.dynamic_slice`, `searchsorted`, `bincount`. Each is a product with one-hot rows, so it costs as much as there are
  places; an index outside of the array gives 0, or updates nothing. Promise the range of an index (`argot.within`).
- **Linear algebra** of small matrices. `jnp.linalg.solve` and `inv` of one system of at most 64, by elimination with
  pivots found in secret; in derivatives and under `jax.vmap` by LU, as in JAX. `cholesky`, `qr`, `det`, `slogdet` of
  at most 64 rows; `eigh`, `svd`, `pinv`, `lstsq` of at most 32 columns, by a fixed number of Jacobi rotations:
  eigenvectors come with signs of their own. Their errors are a few units of 2^-18 a step, so some 1e-4 of the largest
  element.
- **Conditions of loops** are public. `lax.cond` on a secret computes all branches and chooses.
- **Constants alone** are computed when the program is made, by primitives without a rule too, and by `jax.random`: what
  it draws from a key that is a constant is a constant of the program. Every party knows such numbers, and each run
  has the same: they hide nothing, and are no noise for privacy. A key that is no constant is an error.
- **Secret random numbers** come from `argot.random`: `uniform`, `normal`, `bernoulli`, `permutation`. Nobody knows
  them, and each run, and each round of a loop, draws anew.
- **Secret orders**: `argot.order` sorts, shuffles and puts back the rows of several arrays at once; `argot.groups` has
  group-by and sums, maxima and minima of secret segments. Cheaper than `lax.sort` of many arrays.
- **Complex numbers** are pairs of reals inside a function: `jnp.fft`, `jax.lax.complex`, `.real`, `.imag`, `conj`,
  `abs`, `angle`, `exp`, `log`, products, quotients, matrix products, sums, reshapes, indexing. They are no inputs or
  results, nor carried by loops: take real and imaginary parts there. `jnp.abs(z)` needs |z| < 2^13 and is known to
  0.002 where |z| is below 0.01 (`jnp.hypot(z.real, z.imag)` costs more and is not so limited); `jnp.abs(z) ** 2`
  takes no root.
- **Fourier transforms** of public sizes are products with public matrices: up to 64 points at once, more in stages of
  up to 64, each of which truncates once; a prime number of up to 1024 points at once. Each error is about 2^-17 times
  the root of the sum of |x|^2, plus a unit for each stage. `fft2`, `fftn` of up to three axes, and the inverses too.
- **Distribution functions** with constant parameters from 0.5 up, `gammainc`, `gammaincc`, `betainc`, and what
  `jax.scipy.stats` makes of them: a Chebyshev series that is found when the program is made, errors below 1e-4.
  `jnp.nextafter` is an error: a program does not know the step of the device.
- **Effects.** Nothing of the driver runs at the parties: `jax.debug.print` and callbacks are errors.
- **Ranges.** `argot.spec(..., low=, high=)` declares a range of an owner's value, which its agent checks;
  `argot.within(x, low, high)` promises one. Comparisons, exp, sigmoid and sorting cost less then, and the driver warns
  where values may leave the ring. Ranges also follow from constants, comparisons, bounded functions, `maximum`, `clip`,
  `abs`, softmax, loops that add something bounded, and arithmetic on those: `docs/concepts/ranges.md`.
"""


def table() -> str:
    """The two tables."""
    lines = ["| JAX primitive | what it is here |", "| --- | --- |"]
    for name, rule in rules.every().items():
        lines.append(f"| `{name}` | {_first(rule.__doc__)} |")
    lines += ["", "## Operations of programs", "", "| operation | meaning |", "| --- | --- |"]
    for name, op in ops.ALL.items():
        lines.append(f"| `{name}` | {_first(type(op).__doc__)} |")
    return "\n".join(lines) + "\n"


def _first(doc: str | None) -> str:
    return (doc or "").strip().split("\n\n")[0].replace("\n    ", " ").replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(f"{_INTRODUCTION}\n{table()}")
