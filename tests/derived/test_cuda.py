"""Every function, in every dtype it takes, gives as CUDA C what the evaluator gives, in whatever order threads run;
at whatever sizes and through whatever views; and NVRTC compiles each in every dtype.

``pytest -m cuda_text`` makes every call, compiles for every architecture, and runs sanitizers; among all other tests
some functions stand for all, float32 for the other dtypes where shapes vary, and two architectures for those between.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph.codegen.cuda_printer import uncommented
from symgraph.graph.dims import Size, symbols
from symgraph.graph.walk import toposort
from symgraph.runtime import emulator, nvrtc
from symgraph.runtime.cuda_backend import CudaProgram
from symgraph.runtime.device import text_of
from symgraph.runtime.simulator import Simulator
from tests.derived.awkward import FAMILIES, VIEWS, resized, standing
from tests.derived.closeness import mismatch
from tests.derived.declared import FUNCTIONS_BY_NAME, Call, calls, failures
from tests.derived.test_values import magnitude

GROUPS = 24
"""Functions are compiled together: a compiler takes longer to begin than for some kernels."""

SPILLED = 256
"""Bytes that a thread may keep elsewhere where its numbers have 64 bits: functions of complex numbers are long."""
PARTS = 4
"""So many processes run what is sanitized."""
DTYPES = ("float32", "int32")
"""In which kernels of every kind run at every size."""
LAID = ("float32", "int32")
"""In which arrays are views, too."""

pytestmark = pytest.mark.cuda_text


class Collector(Simulator):
    """Compiles all that it was asked for at the first launch."""

    def __init__(self, **options):
        super().__init__(**options)
        self.wanted = {}

    def load(self, kernels):
        self.wanted |= {each.functions[0]: each for each in kernels}

    def launch(self, *what):
        super().load([each for name, each in self.wanted.items() if name not in self._modules])
        super().launch(*what)


@pytest.mark.parametrize("group", range(GROUPS))
@pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler")
def test_values_in_cuda_are_the_evaluators(group, thorough):
    look_at(group, thorough)
    device = Collector()
    found = {
        f: [Program(call, device) for call in (*chosen(f, thorough), *drawn(f, thorough))]
        for f in functions(group)
    }
    lines = {
        f.name: failures(f, ((each.call, each.wrong) for each in programs)) for f, programs in found.items()
    }
    assert not {name: text for name, text in lines.items() if text}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler")
def test_every_kind_of_kernel_at_every_size(family, thorough):
    for dtype in DTYPES if thorough else DTYPES[:1]:
        device = Collector()
        views = range(len(VIEWS)) if thorough and dtype == DTYPES[0] else (0, 2)
        programs = [Program(call, device) for view in views for call in standing(family, dtype, view)]
        assert len(programs) >= 6 * len(views)
        assert not failures(family, ((each.call, each.wrong) for each in programs))
        if thorough and dtype == DTYPES[0] and nvrtc.available():
            assert nvrtc.compiled(uncommented(text_of(list(device.wanted.values()))), 90)


@pytest.mark.parametrize("group", range(GROUPS))
@pytest.mark.skipif(not nvrtc.available(), reason="there is no NVRTC")
def test_nvrtc_compiles_it(group, thorough):
    look_at(group, thorough)
    device = Collector()
    for f in functions(group):
        for call in one_of_each_dtype(f):
            Program(call, device)
    kernels = list(device.wanted.values())
    text = uncommented(text_of(kernels))
    for architecture in nvrtc.ARCHITECTURES if thorough else nvrtc.ARCHITECTURES[:1]:
        assert nvrtc.compiled(text, architecture)
    reports = nvrtc.report(text, 90)
    for kernel in kernels:
        for report in map(reports.get, kernel.functions):
            is_double = "double" in "".join([kernel.text, *kernel.helpers.values()])
            assert is_double or 0 == report.doubles, kernel.text
            assert report.spilled <= (SPILLED if is_double else 0), kernel.text


SANITIZED = """
import sys
from symgraph.runtime.cache import Cache
from symgraph.runtime import emulator
from tests.derived.test_cuda import GROUPS, PARTS, Collector, Program, functions, one_of_each_dtype

emulator.folder = lambda: None
device, count = Collector(seed=1, sanitized=True), 0
some = [f for group in range(int(sys.argv[1]), GROUPS, PARTS) for f in functions(group)]
found = [Program(call, device) for f in some for call in one_of_each_dtype(f, ("float32", "int32", "bool"))]
for each in found:
    if each.failure is None:
        each.program.run(each.arrays)
        count += 1
print("well", count)
"""


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler")
def test_sanitizers_find_nothing(part, thorough):
    if not thorough:
        pytest.skip("pytest -m cuda_text runs it")
    library = emulator.sanitizer()
    if not os.path.isabs(library):
        pytest.skip("the compiler has no address sanitizer")
    done = subprocess.run(
        [sys.executable, "-c", SANITIZED, str(part)],
        capture_output=True,
        text=True,
        env={**os.environ, "LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0"},
        cwd=Path(__file__).parents[2],
    )
    assert 0 == done.returncode, done.stderr[-4000:]
    assert re.fullmatch(r"well [1-9]\d*\n", done.stdout)


def look_at(group, thorough):
    """All functions where CUDA's text was asked for, else every fourth group of them."""
    if not thorough and group % 4:
        pytest.skip("pytest -m cuda_text runs it")


def one_of_each_dtype(f, dtypes=None):
    """The last call of a function in each of some dtypes."""
    return list({call.dtype: call for call in calls(f, dtypes)}.values())


def chosen(f, thorough):
    return list(calls(f)) if thorough else [*calls(f, ("float32",)), *one_of_each_dtype(f)]


def drawn(f, thorough):
    """A call in each dtype, at sizes about those of warps and blocks; on views where there is a text for each."""
    for dtype in f.dtypes if thorough else ("float32",):
        if dtype in f.dtypes:
            yield from resized(f, dtype, VIEWS if dtype in LAID else VIEWS[:1])


def functions(group):
    return list(FUNCTIONS_BY_NAME.values())[group::GROUPS]


class Program:
    def __init__(self, call, device):
        self.call, self.device = call, device
        outputs = call.outputs()
        read = set(toposort(outputs))
        sizes = _symbols(outputs)
        feed = {node: x for node, x in call.feed().items() if node in read or sizes & _symbols([node])}
        self.arrays = list(feed.values())
        plan = sg.function(list(feed), outputs, options=sg.Options(backend="numpy")).plan
        self.program = CudaProgram(plan, device)
        self.failure = None
        try:
            self.program.prepared(self.arrays)
        except Exception as error:  # told when its turn comes
            self.failure = error

    def wrong(self):
        if self.failure is not None:
            raise self.failure
        expected = sg.evaluate(self.call.outputs(), self.call.feed())
        function, is_declared = self.call.function, type(self.call) is Call
        elementwise = not function.is_macro and function.op.elementwise
        ulps = (4 if is_declared else 16) * function.tolerance  # of more numbers, some are further off
        summed = 0.0 if is_declared or elementwise else max(map(norm, self.call.feed().values()), default=0.0)
        found = []
        for seed in (0, 1, 2):
            self.device.seed = seed
            actual = self.program.run(self.arrays)
            found.append([np.asarray(x).tobytes() for x in actual])
        for a, b in zip(actual, expected, strict=True):
            if a.dtype != b.dtype:
                return f"the dtype is {a.dtype}, not {b.dtype}"
            wrong = mismatch(a, b, ulps, 0.0 if elementwise and is_declared else max(magnitude(b), summed))
            if wrong:
                return wrong
        return None if found[0] == found[1] == found[2] else "the order of threads changes the result"


def norm(x):
    """What many numbers come to in a sum if their signs are drawn: such a sum is exact relative to this at best."""
    wide = x.astype("complex128") if x.dtype.kind == "c" else x.astype("float64")
    return float(np.linalg.norm(wide[np.isfinite(wide)]))


def _symbols(nodes):
    """The names among the sizes of nodes."""
    return {name for x in nodes for size in x.shape if isinstance(size, Size) for name in symbols(size)}
