"""`python -m argot.agent`: started by `argot.local` with `--embedded FD`, or by hand with `--config FILE`."""

from __future__ import annotations

import argparse

from . import deployed, embedded

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m argot.agent", description="One party's agent.")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--embedded", type=int, metavar="FD", help="started by a driver, which reads FD")
    group.add_argument("--config", metavar="FILE", help="deployed, with this configuration")
    chosen = parser.parse_args()
    if chosen.config:
        deployed.start(chosen.config)
    else:
        embedded.main(chosen.embedded)
