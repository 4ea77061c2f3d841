"""Libraries for C: how large they are, how long they take to make, and a call from C beside one from Python.

python bench/aot.py                     needs a C compiler; some seconds

A call from C is the median of rounds in a loop of C; one from Python is the same compiled function, called with arrays.
Both compute the same numbers, which are compared first.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import statistics
import subprocess
import tempfile
import time
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from graph import machine, positive

import symgraph as sg
from symgraph.examples import digits

TIMED = """
#include <stdint.h>
#include <time.h>
#include "{name}.h"

double seconds(int64_t calls, {params})
{{
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int64_t call = 0; call < calls; call++)
        {name}({names});
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
}}
"""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=positive, default=15, help="rounds of each measurement (default 15)")
    rounds = parser.parse_args(argv).rounds
    print(f"{machine()}\n")
    print("| program | library, kB | made in ms | from C, us | from Python, us |\n|---|---|---|---|---|")
    for label, function, arrays in programs():
        size, made, c, python = measured(function, arrays, rounds)
        print(
            f"| {label} | {size / 1e3:.0f} | {1e3 * made:.0f} | {1e6 * c:.2f} | {1e6 * python:.2f} |",
            flush=True,
        )


def programs() -> Sequence[tuple[str, sg.CompiledFunction, list[np.ndarray]]]:
    rng = np.random.default_rng(0)
    alone = sg.Options(threads=1)
    x, logits, weights = digits.network()
    predict = sg.function([x], sg.argmax(logits, axis=1), name="predict", options=alone)
    t = sg.placeholder("int64", ("batch",), name="t")
    loss = sg.cross_entropy(logits, t).mean()
    train = sg.function([x, t], loss, updates=digits.adam(loss, weights), name="train", options=alone)
    images, labels = rng.random((64, 64), "float32"), rng.integers(10, size=64)
    y = sg.placeholder("float64", (4,), name="y")
    chain = sg.function([y], sg.tanh(y * 2 + 1), name="chain", options=alone)
    rows = sg.placeholder("float64", ("n", 8), name="rows")
    last, kept = sg.scan(lambda c, r: (c * 0.9 + sg.tanh(r), c), sg.zeros((8,)), rows)
    scan = sg.function([rows], [last, kept], name="scanned", options=alone)
    return [
        ("3 operations on 4 float64", chain, [rng.random(4)]),
        ("digits, 1 image", predict, [images[:1]]),
        ("digits, 64 images", predict, [images]),
        ("digits, a step of Adam on 64 images", train, [images, labels]),
        ("scan of 1,000 rows of 8", scan, [rng.random((1000, 8))]),
    ]


def measured(
    function: sg.CompiledFunction, arrays: Sequence[np.ndarray], rounds: int
) -> tuple[int, float, float, float]:
    """Bytes of the shared library, seconds to write all files, and of a call from C and from Python."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        library = sg.aot.build(function, folder)
        made = time.perf_counter() - began
        assert library.shared is not None
        size = library.shared.stat().st_size
        call = timed(library, folder)
        sizes, every, found = arguments(library, function, arrays)
        given = [*map(ctypes.c_int64, sizes), *(ctypes.c_void_p(x.ctypes.data) for x in every)]
        call(1, *given)
        for a, b in zip(found, flat(function(*arrays)), strict=True):
            np.testing.assert_allclose(a.reshape(b.shape), b, rtol=1e-6)
        c = statistics.median(each(lambda n: call(n, *given), rounds))
    python = statistics.median(each(lambda n: timeit.timeit(lambda: function(*arrays), number=n), rounds))
    return size, made, c, python


def each(run: Callable[[int], float], rounds: int) -> list[float]:
    """Seconds of a call, in rounds of some milliseconds."""
    count = 1
    while run(count) < 5e-3:
        count *= 2
    return [run(count) / count for _ in range(rounds)]


def timed(library: sg.aot.Library, folder: Path) -> Callable[..., float]:
    """The function in a loop of C: what it takes is how often, and the function's own arguments."""
    params = library.signature.partition("(")[2].removesuffix(")")
    names = ", ".join(param.split()[-1].lstrip("*") for param in params.split(", "))
    (folder / "timed.c").write_text(TIMED.format(name=library.name, params=params, names=names))
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", "libtimed.so", "timed.c", library.object.name, "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    function = ctypes.CDLL(str(folder / "libtimed.so")).seconds
    function.restype = ctypes.c_double
    return lambda calls, *given: float(function(ctypes.c_int64(calls), *given))


def arguments(
    library: sg.aot.Library, function: sg.CompiledFunction, arrays: Sequence[np.ndarray]
) -> tuple[list[int], list[np.ndarray], list[np.ndarray]]:
    """The sizes and the arrays that C is given for a call, and those of the arrays that are results."""
    named = [param.split() for param in library.signature.partition("(")[2].removesuffix(")").split(", ")]
    sizes = [len(arrays[0]) for kind, *names in named if kind == "int64_t" and "*" not in names[0]]
    states = [np.array(update.variable.value) for update in function.graph.updates]  # type: ignore[attr-defined]
    results = [np.zeros_like(x) for x in flat(copy.deepcopy(function)(*arrays))]
    memory = np.zeros(1 << 22, np.uint8)
    return sizes, [*arrays, *states, *results, memory], results


def flat(results: Any) -> list[np.ndarray]:
    return [np.asarray(x) for x in results] if isinstance(results, list | tuple) else [np.asarray(results)]


if __name__ == "__main__":
    main()
