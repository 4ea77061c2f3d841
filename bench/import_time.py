"""What ``import symgraph`` costs beside ``import numpy``, each in a process of its own.

    python bench/import_time.py
    python bench/import_time.py --json

The target is 1.5 times NumPy's own time and 60 ms. Compiled bytecode is assumed, as after an installation.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

STATEMENTS = ("pass", "import numpy", "import symgraph")


def main(argv: Sequence[str] | None = None) -> None:
    """Print minimum and median over rounds that take turns, less the time of an interpreter that does nothing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=21, help="processes for each statement (default 21)")
    parser.add_argument("--json", action="store_true", help="print JSON, with every round")
    arguments = parser.parse_args(argv)
    times = measure(arguments.rounds)
    if arguments.json:
        print(json.dumps(times))
        return
    empty = statistics.median(times["pass"])
    numpy, ours = (statistics.median(times[name]) - empty for name in STATEMENTS[1:])
    target = 1.5 * numpy + 60
    print(f"import numpy     {numpy:6.1f} ms")
    print(f"import symgraph  {ours:6.1f} ms   target <= {target:.1f}  {'ok' if ours <= target else 'MISSED'}")


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each statement, round by round; the first round fills the cache of bytecode."""
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    with tempfile.TemporaryDirectory() as cache:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        environment["PYTHONPYCACHEPREFIX"] = cache
        for _ in range(rounds + 1):
            for statement, column in times.items():
                started = time.perf_counter()
                subprocess.run([sys.executable, "-c", statement], env=environment, check=True)
                column.append(1e3 * (time.perf_counter() - started))
    return {name: column[1:] for name, column in times.items()}


if __name__ == "__main__":
    main()
