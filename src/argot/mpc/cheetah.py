"""Cheetah: two parties alone (Huang, Lu, Hong, Ding: USENIX Security 2022, eprint 2022/207).

Additive shares of two parties. Products come from lattice encryption where there are many, else from oblivious
transfer; comparisons, truncation and conversions from silent transfers: everything is in `transfers.py`, of which
this is the form for two. What each message hides is written down in transfers.md.
"""

from __future__ import annotations

from typing import ClassVar, final

from .protocol import About
from .transfers import Transfers


@final
class Cheetah(Transfers):
    """Semi-honest security of two parties against each other. See transfers.md."""

    parties: int = 2
    has_order: ClassVar[bool] = True
    about: ClassVar[About | None] = About(
        parties="2",
        adversary="semi-honest: follow the program and analyse what they see",
        threshold="safe against either party",
        assumes="ring-LWE and parity with noise at 128 bits, Diffie-Hellman on ristretto255; authenticated channels,"
        " AES-128 and BLAKE3 as pseudo-random functions",
        leaks="program, shapes, bounds; what is revealed; of a revealed truncated value one bit on what was dropped",
        note="src/argot/mpc/transfers.md",
    )
