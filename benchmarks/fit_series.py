"""The coefficients in src/argot/mpc/derived/ and their largest errors. Needs NumPy and SciPy.

    python benchmarks/fit_series.py

Each function is fitted on an interval by a trigonometric sum whose period is longer than the interval: between the
interval's end and the period's the sum may do what it likes, which makes it converge geometrically although the
function is not periodic (a Fourier extension). The fit minimises the largest error, by Lawson's reweighted least
squares. So do the polynomials of the general functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import erfcx

Array = np.ndarray


def minimax(basis: Array, wanted: Array, weight: Array, rounds: int = 4000) -> tuple[Array, float]:
    """Coefficients c that nearly minimise max |basis @ c - wanted| * weight, and that maximum."""
    rows, values = basis * weight[:, None], wanted * weight
    emphasis = np.full(len(values), 1.0 / len(values))
    best, smallest = np.zeros(basis.shape[1]), np.inf
    for _ in range(rounds):
        root = np.sqrt(emphasis)
        c = np.linalg.lstsq(rows * root[:, None], values * root, rcond=1e-15)[0]
        error = np.abs(rows @ c - values)
        if error.max() < smallest:
            best, smallest = c, float(error.max())
        emphasis *= error + 1e-3 * error.max()
        emphasis /= emphasis.sum()
    return best, smallest


def mantissa(
    function: Callable[[Array], Array], harmonics: int, relative: bool, low: float = 0.5
) -> tuple[Array, float]:
    """f(m) for m from `low` to 1 as a sum of period 2 in m: (constant, cosines, sines)."""
    m = (1 + low) / 2 - (1 - low) / 2 * np.cos(np.linspace(0, np.pi, 1000))
    angles = np.pi * np.outer(m, np.arange(1, harmonics + 1))
    basis = np.concatenate([np.ones((len(m), 1)), np.cos(angles), np.sin(angles)], axis=1)
    wanted = function(m)
    return minimax(basis, wanted, 1 / np.abs(wanted) if relative else np.ones(len(m)))


def step(
    function: Callable[[Array], Array], reach: float, period: float, harmonics: int, rounds: int
) -> tuple[Array, float]:
    """An odd function for |x| <= reach as a sum of sines."""
    x = reach * np.sin(np.linspace(0, np.pi / 2, 1500))
    basis = np.sin(2 * np.pi / period * np.outer(x, np.arange(1, harmonics + 1)))
    return minimax(basis, function(x), np.ones(len(x)), rounds)


def polynomial(function: Callable[[Array], Array], terms: int) -> tuple[Array, float]:
    """f(t) for t in [-1, 1]; fitted in Chebyshev's polynomials, which stay independent where powers do not."""
    t = np.cos(np.linspace(0, np.pi, 1000))
    c, error = minimax(np.polynomial.chebyshev.chebvander(t, terms - 1), function(t), np.ones(len(t)), 400)
    return np.polynomial.chebyshev.cheb2poly(c), error


def tail_of_erf(slope: float, reach: float, terms: int) -> tuple[Array, float]:
    """e^(x^2) erfc(x) = t P(t), t = 1 / (1 + slope x), for 0 <= x <= reach; the error is that of erf."""
    x = reach / 2 * (1 - np.cos(np.linspace(0, np.pi, 1200)))
    t = 1 / (1 + slope * x)
    return minimax(t[:, None] ** np.arange(1, terms + 1), erfcx(x), np.exp(-x * x), 400)


def show(name: str, numbers: Array) -> None:
    print(f"    {name}=(")
    for number in numbers:
        print(f"        {float(number)!r},")
    print("    ),")


def main() -> None:
    for name, odd, reach, harmonics, longest in (
        ("sigmoid - 1/2", lambda x: 0.5 * np.tanh(x / 2), 10.25, 11, 3.2),
        ("tanh / 2", lambda x: 0.5 * np.tanh(x), 5.5, 13, 3.2),
        ("erf / 2", lambda x: 0.5 * np.vectorize(math.erf)(x), 3.125, 7, 4.2),
    ):
        periods = np.linspace(2.3 * reach, longest * reach, 37)
        period = min(periods, key=lambda p: step(odd, reach, float(p), harmonics, 400)[1])
        period = round(float(period), 2)
        sines, error = step(odd, reach, period, harmonics, 4000)
        print(f"# {name} for |x| <= {reach}, period {period}: error {error:.1e}")
        show("sin", sines)
    for name, function, k, relative, low in (
        ("reciprocal", lambda m: 1 / m, 5, True, 1 / 2),
        ("sqrt", np.sqrt, 5, True, 1 / 2),
        ("rsqrt", lambda m: 1 / np.sqrt(m), 5, True, 1 / 2),
        ("log", np.log, 4, False, 1 / 2),
        ("reciprocal", lambda m: 1 / m, 6, True, 3 / 8),
        ("sqrt", np.sqrt, 6, True, 7 / 32),
        ("rsqrt", lambda m: 1 / np.sqrt(m), 7, True, 7 / 32),
        ("log", np.log, 5, False, 3 / 8),
    ):
        c, error = mantissa(function, k, relative, low)
        print(f"# {name} from {low}: {'relative ' if relative else ''}error {error:.1e}\n    constant={float(c[0])!r},")
        show("cos", c[1 : k + 1])
        show("sin", c[k + 1 :])
    for name, function, terms in (
        ("2^((1+t)/2)", lambda t: 2 ** ((1 + t) / 2), 9),
        ("log((3+t)/4)", lambda t: np.log((3 + t) / 4), 13),
        ("1/sqrt((3+t)/4)", lambda t: 2 / np.sqrt(3 + t), 7),
    ):
        c, error = polynomial(function, terms)
        print(f"# {name}: error {error:.1e}")
        show("polynomial", c)
    c, error = tail_of_erf(0.275, 5.0, 9)
    print(f"# e^(x^2) erfc(x): error {error:.1e}")
    show("tail", c)


if __name__ == "__main__":
    main()
