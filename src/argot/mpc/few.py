"""How many elements are few: up to so many, an operation that has a form with fewer rounds and one with fewer bytes
takes the former.

Both parties of a message must choose alike, so this is a function of what all of them know: the link that they have
measured together (runtime/link.py), or that the device was made with.
"""

from __future__ import annotations

from math import frexp

from ..runtime.link import Link

FEW = 1 << 17
"""Where no link is known: between processes of one machine."""

LEAST, MOST = 1 << 10, 1 << 22


def few(link: Link | None, dropped: int) -> int:
    """The number for fused truncations of so many bits, a power of two within LEAST and MOST.

    A third round takes one latency more. What it saves is counted at the party that receives most, for which all
    wait: 2k + 2d bits an element with two rounds, 2k + d + 1 with three (aby3.md, section 4.5), so d - 1:

        n (d - 1) / bandwidth = latency
    """
    if link is None:
        return FEW
    number = link.latency * link.bandwidth / max(dropped - 1, 1)
    part, exponent = frexp(min(max(number, LEAST), MOST))
    return 1 << (exponent - 1 + (part > 0.5**0.5))  # the nearest power, in arithmetic that is the same everywhere
