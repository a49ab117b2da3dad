"""Trigonometric sums that approximate the elementary functions; made by `benchmarks/fit_series.py`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """constant + sum over k = 1.. of cos[k-1] cos(2 pi k t) + sin[k-1] sin(2 pi k t), t in turns.

    `error` is the largest error of the sum on the interval it was fitted for, before any rounding.
    """

    constant: float
    cos: tuple[float, ...]
    sin: tuple[float, ...]
    error: float


SIGMOID_REACH = 9.25
SIGMOID_PERIOD = 25.44

# sigmoid(x) for |x| <= 9.25, t = x / 25.44.
SIGMOID = Series(
    constant=0.5,
    cos=(0.0,) * 10,
    sin=(
        0.5925144922578083,
        -0.02263514340130221,
        0.11796808086972782,
        -0.014314597536292625,
        0.02809967840973063,
        -0.0028646026274665153,
        0.0045434332075095975,
        0.0007595089818310747,
        0.00011953728418146337,
        0.0005027867670060978,
    ),
    error=7.8e-5,
)

ERF_REACH = 3.25
ERF_PERIOD = 11.05

# (1 + erf(x)) / 2 for |x| <= 3.25, t = x / 11.05.
ERF = Series(
    constant=0.5,
    cos=(0.0,) * 8,
    sin=(
        0.5853529964692358,
        0.003646629019577116,
        0.09749651426378174,
        0.005385608384433086,
        0.012322360762899184,
        0.003012470598739587,
        0.00022517445403414955,
        0.0005261770322714764,
    ),
    error=6.2e-6,
)

# The others take m in [1/2, 1] as t = m / 2.

# 1/m, error relative
RECIPROCAL = Series(
    constant=3.4349535097262467,
    cos=(
        3.466942295904391,
        1.1621723366487364,
        0.08660178343614161,
        -0.05374496132808937,
        -0.010163310093444844,
    ),
    sin=(
        -0.7403310329187855,
        -1.1341871636395373,
        -0.5251855133962617,
        -0.0963150653814045,
        -0.0038909238276081393,
    ),
    error=1.2e-7,
)

# sqrt(m), error relative
SQRT = Series(
    constant=0.7829853505654436,
    cos=(
        -0.3130706560432475,
        -0.11538187775255629,
        -0.01871158812007241,
        0.0011015240861753928,
        0.00048725000273865116,
    ),
    sin=(
        -0.1647549123911181,
        0.027368070059620303,
        0.02796090575551726,
        0.00632864938190825,
        0.00035385325076082996,
    ),
    error=8.9e-9,
)

# 1/sqrt(m), error relative
RSQRT = Series(
    constant=1.6722316999029394,
    cos=(
        0.9539990026214327,
        0.3238866961609116,
        0.03364032975891955,
        -0.01077592412783221,
        -0.0022968906128861544,
    ),
    sin=(
        -0.04566243757740712,
        -0.2428811625391729,
        -0.12335055355585105,
        -0.023580157553371464,
        -0.0010436758842912452,
    ),
    error=3.0e-8,
)

# log m
LOG = Series(
    constant=-0.7057918706166478,
    cos=(
        -0.9709665048920195,
        -0.3005650459636642,
        -0.03303351121925995,
        0.00235612751739378,
    ),
    sin=(
        -0.2218954040673714,
        0.1342013692610824,
        0.06838030640641082,
        0.00826940730405169,
    ),
    error=7.7e-7,
)
