"""What a user waits for before anything is computed, and what an installation takes.

    python benchmarks/startup.py [--json]

`import argot` in a fresh interpreter; `argot.local` of three parties until all have answered; `argot demo`, everything
in it; and the size of a fresh virtual environment with the core alone, pip and setuptools left out. Medians of five,
the demo's of three.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMPORT = "import time; t = time.perf_counter(); import argot; print(time.perf_counter() - t)"
READY = (
    "import time, argot; t = time.perf_counter(); fed = argot.local('alice', 'bob', 'carol'); "
    "print(time.perf_counter() - t); fed.close()"
)


def printed(code: str, times: int = 5) -> float:
    """The median of what fresh interpreters print."""
    return statistics.median(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(times))


def demo(times: int = 3) -> float:
    """Seconds of the whole command."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(times):
            start = time.perf_counter()
            command = [sys.executable, "-m", "argot", "demo", "--quiet"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def installed() -> tuple[float, int]:
    """MB that a core installation adds to an empty environment, and its distributions."""
    with tempfile.TemporaryDirectory() as folder:
        wheels, env = Path(folder) / "wheels", Path(folder) / "env"
        pip = [sys.executable, "-m", "pip", "-q"]
        subprocess.run([*pip, "wheel", "--no-deps", "-w", wheels, ROOT], check=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", env], check=True)
        before = _size(env)
        python = str(env / "bin" / "python")
        subprocess.run([*pip, "--python", python, "install", *wheels.glob("*.whl")], check=True)
        return (_size(env) - before) / 1e6, len(list(env.glob("lib/*/site-packages/*.dist-info")))


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    size, distributions = installed()
    found = {
        "import_s": (printed(IMPORT), 0.5),
        "ready_s": (printed(READY), 2.0),
        "demo_s": (demo(), 20.0),
        "core_mb": (size, 200.0),
        "core_distributions": (distributions, 40),
    }
    if parser.parse_args().json:
        return print(json.dumps({name: round(value, 4) for name, (value, _) in found.items()}))
    for name, (value, limit) in found.items():
        print(f"{name:<20} {value:8.3f}   at most {limit:g}{'' if value <= limit else '   missed'}")


if __name__ == "__main__":
    main()
