"""The engine's own cost: CPU per message and party, per equation; time of a round over TLS.

    python benchmarks/overhead.py [--json]

Claims: at most 25 microseconds of CPU of the engine per message and party, at most 30 per equation, and a chain of 100
dependent fixed-point multiplications (200 rounds) in 35 ms, so 175 microseconds a round with everything. What each row
is: `argot.bench.overhead`.
"""

from __future__ import annotations

import json
import sys

from argot.bench.overhead import LIMITS, bench


def main() -> None:
    figures = bench()
    if "--json" in sys.argv[1:]:
        print(json.dumps({"microseconds": figures, "limits": LIMITS}))
        return
    print(f"{'':12} {'microseconds':>12} {'at most':>8}")
    for name, value in figures.items():
        missed = "  missed" if value > LIMITS.get(name, value) else ""
        print(f"{name:12} {value:12.2f} {LIMITS.get(name, ''):>8}{missed}")


if __name__ == "__main__":
    main()
