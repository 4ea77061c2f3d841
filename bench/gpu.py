"""symgraph on a GPU, beside what a copy reaches, torch.compile, JAX and CuPy: those that are installed.

    python bench/gpu.py                     some minutes on a GPU; writes results/<date>-<device>.md
    python bench/gpu.py --only rows launch  some of it
    python bench/gpu.py --emulate           whether all of it runs and is right, on a machine without a GPU

README.md in this folder says how to read it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from itertools import count as numbers
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from checks import LIMITS
from peers import torches
from peers.compilers import Jax, Symgraph
from peers.numpy_and_numba import NUMPY
from peers.peer import names
from workloads import ELEMENTWISE, ROWS, Workload

import symgraph as sg
from symgraph.examples import digits
from symgraph.options import Options
from symgraph.runtime.cuda import Cuda
from symgraph.runtime.cuda_backend import CudaProgram
from symgraph.runtime.gpu_program import GpuProgram
from symgraph.runtime.numpy_backend import NumpyProgram
from symgraph.runtime.simulator import Simulator

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))  # for the calls of every function, which are declared for the tests

from tests.derived.closeness import mismatch  # noqa: E402
from tests.derived.declared import FUNCTIONS_BY_NAME, Call, calls  # noqa: E402
from tests.derived.test_values import magnitude  # noqa: E402

Array = Any
"""Of NumPy, or of the device."""

SIZES = {"n": 10**8, "rows": 8192, "columns": 8192}
TINY = {"n": 1003, "rows": 9, "columns": 300}
ROUNDS = 15
TURN = 5e-3
"""Seconds of the device that a turn takes, at least."""
COPIED = 1 << 30
"""Bytes that are copied to learn what memory gives."""
TOGETHER = 12
"""Functions whose calls are compiled at once."""
WRONG = "is wrong:"
FRACTION = 0.9
"""Of the copy, what kernels are to reach."""


class Together:
    """A device that compiles what it was asked for at the next launch, all at once."""

    def __init__(self, device: Any) -> None:
        self._device, self._wanted = device, dict[str, Any]()

    def load(self, kernels: Sequence[Any]) -> None:
        self._wanted |= {each.functions[0]: each for each in kernels}

    def launch(self, *what: Any) -> None:
        if self._wanted:
            self._device.load(list(self._wanted.values()))
            self._wanted.clear()
        self._device.launch(*what)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)


def foreseen(program: CudaProgram, device: Any, given: Iterable[Array]) -> None:
    """The device knows what a call with such arrays will launch; where it fails, the call will tell."""
    with contextlib.suppress(Exception):
        if arrays := [device.to(x) for x in given]:
            program.prepared(arrays)


class Emulated:
    """The simulator: everything runs, and nothing is timed."""

    name, sizes, dtypes = "the simulator", TINY, ("bool", "int32", "float32")
    is_gpu = False

    def __init__(self) -> None:
        self.device = Together(Simulator())

    def function(self, plan: Any, given: Iterable[Array] = (), **_: Any) -> Callable[..., list[Array]]:
        program = CudaProgram(plan, self.device)
        foreseen(program, self.device, given)
        return lambda *arrays: program.run(arrays)

    def drawn(self, workload: Workload) -> list[Array]:
        return list(workload.arrays().values())

    def truth(self, workload: Workload, arrays: Sequence[Array]) -> list[Array]:
        found = workload.program(NUMPY, *(x.astype("float64") for x in arrays))
        return list(found) if isinstance(found, tuple) else [found]

    def host(self, array: Array) -> Array:
        return np.asarray(array)


class Gpu:
    """The first GPU, through CuPy."""

    sizes, dtypes, is_gpu = SIZES, None, True

    def __init__(self) -> None:
        self.device = Together(Cuda())
        self.cupy = importlib.import_module("cupy")
        properties = self.cupy.cuda.runtime.getDeviceProperties(0)
        self.name = properties["name"].decode()
        self.cache = int(self.cupy.cuda.Device(0).attributes["L2CacheSize"])
        driver = self.cupy.cuda.runtime.driverGetVersion()
        self.versions = (
            f"driver for CUDA {driver // 1000}.{driver % 1000 // 10}, CuPy {self.cupy.__version__}"
        )
        special = importlib.import_module("cupyx.scipy.special")
        self.names = names(self.cupy, erf=special.erf, ndtr=special.ndtr)

    def function(self, plan: Any, given: Iterable[Array] = (), **options: Any) -> Callable[..., list[Array]]:
        program = GpuProgram(plan, self.device, **options)
        foreseen(program, self.device, given)
        return lambda *arrays: program.on_device(arrays)

    def drawn(self, workload: Workload) -> list[Array]:
        found = []
        for each in workload.inputs.values():
            shape = [workload.sizes[size] if isinstance(size, str) else size for size in each.shape]
            low, high = each.between
            found.append(self.cupy.random.uniform(low, high, tuple(shape), dtype=workload.dtype))
        return found

    def truth(self, workload: Workload, arrays: Sequence[Array]) -> list[Array]:
        found = workload.program(self.names, *(x.astype("float64") for x in arrays))
        return list(found) if isinstance(found, tuple) else [found]

    def host(self, array: Array) -> Array:
        return array.get() if isinstance(array, self.cupy.ndarray) else np.asarray(array)

    def seconds(self, call: Callable[[], Any]) -> float:
        """Of a call on the device, by events around as many as take a turn."""
        begin, end = self.cupy.cuda.Event(), self.cupy.cuda.Event()

        def elapsed(count: int) -> float:
            begin.record()
            for _ in range(count):
                call()
            end.record()
            end.synchronize()
            return float(self.cupy.cuda.get_elapsed_time(begin, end)) / 1e3 / count

        return elapsed(max(1, min(1000, int(TURN / max(elapsed(1), 1e-7)))))

    def seconds_of_clock(self, call: Callable[[], Any], count: int) -> float:
        """Of the processor, with nothing waiting before or after."""
        self.cupy.cuda.Device(0).synchronize()
        start = time.perf_counter()
        for _ in range(count):
            call()
        found = time.perf_counter() - start
        self.cupy.cuda.Device(0).synchronize()
        return found / count


# Correctness


def correctness(device: Emulated | Gpu) -> Iterator[str]:
    """Every function in every dtype, beside the evaluator: how far the worst of its calls is off, in ulps."""
    worst: dict[str, dict[str, float]] = {}
    count = 0
    for functions in batched(FUNCTIONS_BY_NAME.values(), TOGETHER):
        for each in [Made(call, device) for f in functions for call in calls(f, device.dtypes)]:
            try:
                ulps, why = each.compared()
            except Exception as error:
                ulps, why = np.inf, f"{type(error).__name__}: {error}".partition("\n")[0]
            row = worst.setdefault(each.call.function.name, {})
            row[each.call.dtype] = max(row.get(each.call.dtype, 0.0), ulps)
            count += 1
            if why:
                yield f"{each.call} in {each.call.dtype} {WRONG} {why}"
    yield f"{count} calls of {len(worst)} functions"
    yield ""
    yield "worst ulps of each function, besides those that are exact:"
    for name, row in worst.items():
        if any(row.values()):
            yield f"{name:24}" + "  ".join(f"{dtype} {ulps:.1f}" for dtype, ulps in row.items() if ulps)


class Made:
    """A call of a function, compiled for the device with all others."""

    def __init__(self, call: Call, device: Emulated | Gpu) -> None:
        self.call, self._device = call, device
        self._outputs, feed = call.outputs(), call.feed()
        known = set(sg.graph.walk.toposort(self._outputs))
        self._feed = {node: x for node, x in feed.items() if node in known}
        plan = sg.function(list(self._feed), self._outputs, options=Options(backend="numpy")).plan
        self._run = device.function(plan, self._feed.values())

    def compared(self) -> tuple[float, str | None]:
        """The most ulps between a result and the evaluator's, and what is wrong."""
        found = [self._device.host(x) for x in self._run(*self._feed.values())]
        expected = sg.evaluate(self._outputs, self._feed)
        function, most, why = self.call.function, 0.0, None
        elementwise = not function.is_macro and function.op.elementwise
        for a, b in zip(found, expected, strict=True):
            scale = 0.0 if elementwise else magnitude(b)
            why = why or mismatch(a, b, 4 * function.tolerance, scale)
            most = max(most, _ulps(a, b, scale))
        return most, why


def batched(every: Iterable[Any], size: int) -> Iterator[list[Any]]:
    left = iter(every)
    while some := list(islice(left, size)):
        yield some


def _ulps(a: Array, b: Array, scale: float) -> float:
    if b.dtype.kind in "biuc" or a.shape != b.shape:
        return 0.0
    info = importlib.import_module("ml_dtypes").finfo(b.dtype)
    x, y = a.astype("float64"), b.astype("float64")
    finite = np.isfinite(x) & np.isfinite(y)
    unit = float(info.eps) * np.maximum(np.abs(y[finite]), scale) + float(info.smallest_subnormal)
    return float(np.max(np.abs(x[finite] - y[finite]) / unit, initial=0.0))


# Peers


@dataclass
class Turn:
    """What takes turns: a call on the device, and the seconds of each."""

    call: Callable[..., Any]
    timed: Callable[[Callable[[], Any]], float]
    times: list[float]


def peers(device: Gpu, workload: Workload, *, fused: bool) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each that is installed, as a function of CuPy's arrays."""
    program, cupy = workload.program, device.cupy
    plain = partial(program, device.names)
    yield ("CuPy fuse", cupy.fuse(plain)) if fused else ("CuPy", plain)
    try:
        torch = importlib.import_module("torch")
        torch._dynamo.reset()
        m = torches.Compiled(1).names
        compiled = torch.compile(lambda *given: program(m, *given), dynamic=False, fullgraph=True)
        yield "torch.compile", lambda *given: compiled(*map(torch.from_dlpack, given))
    except ImportError:
        pass
    try:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        jax = importlib.import_module("jax")
        jitted = jax.jit(partial(program, Jax(1).names))
        known: dict[int, Any] = {}

        def call(*given: Array) -> Any:
            for x in given:
                if id(x) not in known:
                    known[id(x)] = jax.dlpack.from_dlpack(x)
            return jitted(*[known[id(x)] for x in given])

        yield "JAX", call
    except ImportError:
        pass


def waiting(device: Gpu, call: Callable[[], Any]) -> float:
    """Seconds of a call of JAX, which has streams of its own: by the clock, until all are ready."""
    jax = importlib.import_module("jax")
    jax.block_until_ready(call())
    count = max(
        1, int(4 * TURN / max(device.seconds_of_clock(lambda: jax.block_until_ready(call()), 1), 1e-7))
    )
    start = time.perf_counter()
    for _ in range(count):
        found = call()
    jax.block_until_ready(found)
    return (time.perf_counter() - start) / count


# Programs


def kernels(device: Emulated | Gpu, workloads: Sequence[Workload], *, fused: bool) -> Iterator[str]:
    """For each program its time, what part of the copy's bandwidth it reaches, and peers' times over it."""
    bandwidth = copied(device) if isinstance(device, Gpu) else 0.0
    if bandwidth:
        yield f"a copy moves {bandwidth / 1e12:.2f} TB/s, read and written"
    for each in workloads:
        workload = replace(each, sizes=device.sizes)
        arrays = device.drawn(workload)
        function = ours(device, workload)
        for x in function(*arrays):
            x.fill(np.nan)  # which the next results begin with
        results = function(*arrays)
        if why := _difference(device, workload, results, device.truth(workload, arrays)):
            yield f"{workload.name:32} {WRONG} {why}"
            continue
        if not isinstance(device, Gpu):
            yield f"{workload.name:32} right"
            continue
        moved = sum(x.nbytes for x in (*arrays, *results))
        del results
        sets = [arrays, *(device.drawn(workload) for _ in range(int(4 * device.cache / moved)))]
        turns = {"symgraph": Turn(function, device.seconds, [])}
        for name, call in peers(device, workload, fused=fused):
            try:
                call(*arrays)
            except Exception as error:
                yield f"    {name} cannot: {type(error).__name__}: {error}".partition("\n")[0]
                continue
            turns[name] = Turn(call, partial(waiting, device) if name == "JAX" else device.seconds, [])
        take_turns(turns, sets)
        yield _line(workload, turns, moved, bandwidth)


def ours(device: Emulated | Gpu, workload: Workload) -> Callable[..., list[Array]]:
    nodes = [sg.placeholder(str(workload.dtype), x.shape, name=name) for name, x in workload.inputs.items()]
    results = workload.program(Symgraph(1).names, *nodes)
    plan = sg.function(nodes, list(results) if isinstance(results, tuple) else [results]).plan
    return device.function(plan)


def take_turns(turns: Mapping[str, Turn], sets: Sequence[Sequence[Array]]) -> None:
    """Rounds in which each takes its turn, of calls that go through all sets of arrays."""
    for n in range(ROUNDS + 1):
        order = list(turns.values())
        for turn in order if n % 2 else order[::-1]:
            place = numbers()
            taken = turn.timed(lambda turn=turn, place=place: turn.call(*sets[next(place) % len(sets)]))
            if n:  # the first is to get warm
                turn.times.append(taken)


def _line(workload: Workload, turns: Mapping[str, Turn], moved: int, bandwidth: float) -> str:
    times = {name: statistics.median(turn.times) for name, turn in turns.items()}
    own = times.pop("symgraph")
    part = moved / own / bandwidth
    others = "".join(f"  {name} {each / own:.2f}" for name, each in times.items())
    verdict = "" if part >= FRACTION else "  MISSED"
    return f"{workload.name:32}{1e3 * own:9.3f} ms {part:6.0%} of the copy{verdict}{others}"


def _difference(
    device: Emulated | Gpu, workload: Workload, found: Sequence[Array], expected: Sequence[Array]
) -> str:
    for a, b in zip(found, expected, strict=True):
        off, scale = (float(device.host(abs(x).max())) for x in (a - b, b))
        if tuple(a.shape) != tuple(b.shape) or not off <= LIMITS[workload.dtype.name] * scale:
            return f"off by {off:.2g} of {scale:.2g}"
    return ""


def copied(device: Gpu) -> float:
    """Bytes a second, read and written, of a copy from one array to another; the arrays of turns are others."""
    cupy = device.cupy
    pairs = [
        (cupy.random.uniform(size=COPIED // 4, dtype="float32"), cupy.empty(COPIED // 4, "float32"))
        for _ in "ab"
    ]
    place = numbers()

    def call() -> None:
        source, target = pairs[next(place) % len(pairs)]
        cupy.copyto(target, source)

    return 2 * COPIED / statistics.median(device.seconds(call) for _ in range(ROUNDS))


# Calls


def launch(device: Emulated | Gpu) -> Iterator[str]:
    """What calls of some kernels cost where there is next to nothing to compute, with graphs and without."""
    x = sg.placeholder("float32", ("rows", "columns"), name="x")
    (array,) = device.drawn(replace(ROWS[0], sizes={"rows": 8, "columns": 16}))
    result = x
    for count in range(1, 11):
        result = sg.sum(sg.softmax(result), axis=0, keepdims=True) + x
        if count not in (1, 5, 10):
            continue
        plan = sg.function([x], result).plan
        line = f"{len(plan.kernels):3} kernels"
        for name, options in (("launches", {}), ("as a graph", {"replays": True})):
            function = device.function(plan, **options)
            (expected,) = NumpyProgram(plan).run([device.host(array)])
            for _ in range(3):
                (found,) = function(array)
                if not np.allclose(device.host(found), expected, rtol=1e-4):
                    line += f"  {name} {WRONG} {device.host(found).ravel()[:3]}"
                del found
            if isinstance(device, Gpu):
                call = partial(function, array)
                host = statistics.median(device.seconds_of_clock(call, 50) for _ in range(ROUNDS))
                whole = statistics.median(device.seconds(call) for _ in range(ROUNDS))
                line += f"  {name}: {1e6 * host:.1f} µs of the processor, {1e6 * whole:.1f} µs a call"
        yield line


def training(device: Emulated | Gpu) -> Iterator[str]:
    """A step of the digits example, its weights on the device: loss, gradient and Adam."""
    images, labels, *_ = digits.load_digits()
    for batch in (64, 1024) if device.is_gpu else (16,):
        x, logits, weights = digits.network()
        t = sg.placeholder("int64", ("batch",), name="t")
        loss = sg.cross_entropy(logits, t).mean()
        plan = sg.function([x, t], loss, updates=digits.adam(loss, weights)).plan
        arrays = [images[:batch], labels[:batch], *(node.value for node in plan.given[2:])]
        function = device.function(plan)
        wrong = sum(
            not np.allclose(device.host(a), b, rtol=1e-3, atol=1e-6)
            for a, b in zip(function(*arrays), NumpyProgram(plan).run(arrays), strict=True)
        )
        line = f"{len(plan.steps)} steps, {batch} images" + f": a result {WRONG} {wrong} of them" * bool(
            wrong
        )
        if isinstance(device, Gpu):
            call = partial(function, *map(device.device.to, arrays))
            taken = statistics.median(device.seconds(call) for _ in range(ROUNDS))
            line += f"; {1e6 * taken:.0f} µs"
        yield line


PARTS: Mapping[str, Callable[[Emulated | Gpu], Iterator[str]]] = {
    "correctness": correctness,
    "elementwise": lambda device: kernels(device, ELEMENTWISE, fused=True),
    "rows": lambda device: kernels(device, ROWS, fused=False),
    "launch": launch,
    "training": training,
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    device: Emulated | Gpu = Emulated() if arguments.emulate else Gpu()
    lines = [f"# symgraph {sg.__version__} on {device.name}, {date.today()}"]
    if isinstance(device, Gpu):
        lines.append(device.versions)
    print("\n".join(lines), flush=True)
    for part in arguments.only:
        lines += ["", f"## {part}", ""]
        print("\n".join(lines[-3:]), flush=True)
        for line in PARTS[part](device):
            lines.append(line)
            print(line, flush=True)
    if isinstance(device, Gpu):
        name = "-".join(device.name.lower().split())
        (HERE / "results" / f"{date.today()}-{name}.md").write_text("\n".join([*lines, ""]), "utf-8")
    return int(any(WRONG in line for line in lines))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts alone")
    parser.add_argument("--emulate", action="store_true", help="on the simulator, at tiny sizes, untimed")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
