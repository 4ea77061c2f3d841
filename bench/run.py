"""symgraph beside NumPy, numexpr, numba, JAX, PyTorch, PyTensor and ONNX Runtime, those that are installed, in one run.

    python bench/run.py                             every group: an hour, most of it torch.compile's compiling
    python bench/run.py --group elementwise rows    some of them
    python bench/run.py --peers NumPy JAX --only softmax --sizes 1000000
    python bench/run.py --json out.json             every round's times too

README.md in this folder says how to read it. Each group runs in a process of its own, or in many.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from groups import DTYPES, GROUPS, cases
from peers import OURS, PEERS, environment, keep_to
from processes import HERE, Row, first_results, growth, memory
from tables import Table, of_group, summary

ALONE = {"compile": first_results, "growth": growth, "memory": memory}
"""Groups in which every measurement is a process; in the others all take turns in one."""


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _arguments(argv)
    keep_to(arguments.threads)  # and so do the processes that measure
    print(f"{machine()}, {arguments.threads} thread{'s' * (arguments.threads > 1)}, {date.today()}")
    found: dict[str, list[Row]] = {}
    for group in arguments.group:
        request = {**vars(arguments), "group": group, "json": None}
        table, found[group] = Table(group, arguments.peers), []
        rows = ALONE[group](list(cases(request)), request) if group in ALONE else side_by_side(request)
        for row in rows:
            found[group].append(row)
            print(table.line(row), flush=True)
        print("\n".join(["", *of_group(group, found[group])]), flush=True)
    print("\n".join(["", *summary(found)]))
    if arguments.json:
        settings = {**vars(arguments), "json": str(arguments.json), "machine": machine()}
        arguments.json.write_text(json.dumps({"settings": settings, "groups": found}, indent=1))


def side_by_side(request: dict[str, Any]) -> Iterator[Row]:
    """The workloads of a group. One at which the process dies is left out, and a new one begins with the next."""
    begin, end = 0, sum(1 for _ in cases(request))
    while begin < end:
        command = [sys.executable, str(HERE / "side_by_side.py"), json.dumps({**request, "begin": begin})]
        environ = environment(request["threads"])
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):
                    begin += 1
                    yield json.loads(line)
        if begin < end:
            print(f"workload {begin} of {request['group']} ended with {process.returncode}", file=sys.stderr)
            begin += 1


def machine() -> str:
    """The processor and the versions of what is measured."""
    code = "import platform, os, json; from peers import PEERS, load; print(json.dumps(["
    code += "platform.machine(), os.cpu_count(), platform.python_version(),"
    code += " {name: each.version for name, each in load(PEERS, 1).items()}]))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=HERE, env=environment(1), stdout=subprocess.PIPE, check=True
    )
    kind, cores, python, versions = json.loads(done.stdout)
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{kind}, {cores} cores; Python {python}, {listed}"


def _arguments(argv: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--group", nargs="+", choices=list(GROUPS), default=list(GROUPS), help="default: all")
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS), help="default: all")
    parser.add_argument("--threads", type=int, choices=(1, 2), default=1, help="of everyone (default 1)")
    parser.add_argument("--rounds", type=int, default=7, help="in which everyone takes a turn (default 7)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[], help="elements (default: of the group)")
    parser.add_argument("--dtypes", nargs="+", default=list(DTYPES), help="default: both")
    parser.add_argument("--only", default="", help="a regular expression for the names of workloads")
    parser.add_argument("--json", type=Path, help="a file for everything, with every round")
    arguments = parser.parse_args(argv)
    if OURS not in arguments.peers:
        arguments.peers.insert(0, OURS)
    return arguments


if __name__ == "__main__":
    main()
