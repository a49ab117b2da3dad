"""Functions written once for all protocols, on the operations of `Protocol`.

`derived.exp(p, x)` takes the protocol's own `exp` where it has one. Fixed point throughout; `bound=l` promises
|x| < 2^(l-1) for the ring integer, None |x| < 2^(k-2). Domains, edges and errors: docs/reference/accuracy.md.
Whatever is outside a domain saturates as described there; no argument raises.
"""

from __future__ import annotations

from .compare import abs as abs
from .compare import argmax as argmax
from .compare import argmin as argmin
from .compare import clamp as clamp
from .compare import max as max
from .compare import maximum as maximum
from .compare import min as min
from .compare import minimum as minimum
from .compare import sign as sign
from .divide import divide as divide
from .divide import reciprocal as reciprocal
from .erf import erf as erf
from .exponential import exp as exp
from .logarithm import log as log
from .roots import rsqrt as rsqrt
from .roots import sqrt as sqrt
from .sigmoid import sigmoid as sigmoid
from .sigmoid import tanh as tanh
from .trigonometric import cos as cos
from .trigonometric import sin as sin
