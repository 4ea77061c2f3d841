"""What the examples compile has the same bits as a library for C: loops, branches, random numbers, factorizations."""

import runpy

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from symgraph.api.function import CompiledFunction
from symgraph.graph.structure import flatten
from tests.aot.ahead import Ahead
from tests.shortened import EXAMPLES, SMALL

SHOWN = {"gaussian_process": 2, "hamiltonian": 2, "hidden_markov": 3, "mandelbrot": 1, "ode": 3}
"""How many programs each has."""


@pytest.fixture
def called(monkeypatch):
    """Calls every compiled function as a library first, the first time that it is called."""
    found, call = [], CompiledFunction.__call__

    def noting(self, *args, **kwargs):
        if any(self is each for each in found):
            return call(self, *args, **kwargs)
        found.append(self)
        values = self._bind(args, kwargs)
        given = [np.asarray(value, x.dtype) for value, x in zip(values, self.graph.inputs, strict=True)]
        status, actual = Ahead(self)(*given)
        results = call(self, *args, **kwargs)
        expected = flatten(
            results, lambda leaf: leaf is not None and not isinstance(leaf, dict | list | tuple)
        )
        assert status == 0, self.name
        for a, b in zip(actual, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, err_msg=self.name)
        return results

    monkeypatch.setattr(CompiledFunction, "__call__", noting)
    return found


@pytest.mark.parametrize(
    "path", [each for each in EXAMPLES if each.stem in SHOWN], ids=lambda path: path.stem
)
def test_its_programs_are_libraries(path, called, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path))["main"](**SMALL[path.stem])
    assert len(called) == SHOWN[path.stem]
