"""One workload of one peer in this process: how long its first result takes, or how much memory a call.

run.py starts it with a request, a JSON object; one line of JSON comes out.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from dataclasses import replace
from typing import Any

from checks import difference, truth
from groups import cases
from peers import Peer, load
from workloads import CALLS, Workload


def main() -> None:
    request = json.loads(sys.argv[1])
    sys.setrecursionlimit(100_000)  # some walk their graphs so
    workload = dict(cases(request))[request["place"]]
    start = time.perf_counter()
    peers = load([request["peer"]], request["threads"])
    imports = time.perf_counter() - start
    if not peers:
        print(json.dumps({"missing": "CannotSay: it is not installed"}))
        return
    (peer,) = peers.values()
    if request["warm"]:
        tiny = CALLS[0]
        peer.ready(tiny, tiny.arrays())()  # what a library does once in a process
        imports = time.perf_counter() - start
    limit = int(request["threads"] * request["patience"] + time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    try:
        if request["group"] == "memory":
            found = peak(replace(workload, sizes=workload.tiny) if request["tiny"] else workload, peer)
        else:
            found = first(workload, peer)
        print(json.dumps({**found, "imports": imports}))
    except Exception as error:
        print(json.dumps({"missing": f"{type(error).__name__}: {error}".partition("\n")[0]}))


def first(workload: Workload, peer: Peer) -> dict[str, Any]:
    """Seconds by the clock from the program to its first result; whether it is right is looked at afterwards."""
    arrays = workload.arrays()
    start = time.perf_counter()
    made = peer.ready(workload, arrays)
    result = made()
    seconds = time.perf_counter() - start
    found, expected = made.arrays(result), truth(workload, arrays)
    return {"value": seconds, "wrong": difference(workload, found, expected[: len(found)])}


def peak(workload: Workload, peer: Peer) -> dict[str, Any]:
    """Bytes of this process at most during a call that is not the first, and those of arguments and results."""
    arrays = workload.arrays()
    sizes = sum(x.nbytes for x in arrays.values())
    made = peer.ready(workload, arrays)
    wrong = difference(workload, made.arrays(made()), truth(workload, arrays))
    del arrays
    for _ in range(3):
        made()
    peer.settle()
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the mark is what is in use now
    result = made()
    mark = _status("VmHWM")
    return {"value": mark, "kept": sizes + sum(x.nbytes for x in made.arrays(result)), "wrong": wrong}


def _status(what: str) -> int:
    """Bytes that the system says of this process."""
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(f"{what}:"))


if __name__ == "__main__":
    main()
