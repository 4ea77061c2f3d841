"""The programs of the examples as ONNX models: checked by onnx, run by onnxruntime, read back and run again."""

import runpy
from dataclasses import dataclass

import numpy as np
import pytest

import symgraph as sg
from symgraph.api.function import CompiledFunction
from symgraph.graph.structure import flatten

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", minversion="1.31", reason="onnxruntime 1.31 is not installed")

from tests.io.onnx_runs import check, run
from tests.shortened import EXAMPLES, SMALL

PROGRAMS = {
    "attention": ["learn"],
    "black_scholes": ["greeks"],
    "digits": ["train", "predict"],
    "gaussian_process": ["look", "predict"],
    "hamiltonian": ["known", "unknown"],
    "hidden_markov": ["throw", "learn", "look"],
    "mandelbrot": ["escape"],
    "ode": ["look", "slope", "linear"],
    "tf1_style": ["session", "session", "session"],
    "theano_style": ["train", "predict"],
    "tiny": ["loss_and_slope", "main", "main"],
}
"""The programs in the order of their first calls; none has an op that ONNX cannot say."""


@dataclass
class Called:
    """The first call of a program: its model from before, what was given, the results and what variables became."""

    function: CompiledFunction
    model: object
    feeds: dict
    expected: list


def first_call(f, args, kwargs, call):
    model = sg.onnx.to_proto(f)
    values = f._bind(args, kwargs)
    results = call(f, *args, **kwargs)
    nodes = f.graph.inputs
    feeds = {x.name: np.array(value, x.dtype) for x, value in zip(nodes, values, strict=True)}
    expected = [
        *flatten(results, lambda leaf: leaf is not None and not isinstance(leaf, dict | list | tuple))
    ]
    expected += [each.variable.value for each in f.graph.updates]
    return results, Called(f, model, feeds, expected)


@pytest.fixture
def called(monkeypatch):
    """Notes the first call of every compiled function, and of every set of fetches in a session."""
    found, seen = [], []
    call, run_in_session = CompiledFunction.__call__, sg.Session.run

    def noting(self, *args, **kwargs):
        if any(self is each for each in seen):
            return call(self, *args, **kwargs)
        seen.append(self)
        results, noted = first_call(self, args, kwargs, call)
        found.append(noted)
        return results

    def noting_fetches(self, fetches, feed_dict=None):
        feeds = dict(feed_dict or {})
        program = self._program(fetches, tuple(feeds))
        if not any(program is each for each in seen):
            seen.append(program)
            before = [(each, each.value) for each in program.variables]
            f = CompiledFunction(program, tuple(program.graph.outputs), {}, "session")
            found.append(first_call(f, tuple(feeds.values()), {}, call)[1])
            for variable, value in before:
                variable.value = value
        return run_in_session(self, fetches, feed_dict)

    monkeypatch.setattr(CompiledFunction, "__call__", noting)
    monkeypatch.setattr(sg.Session, "run", noting_fetches)
    return found


def test_every_example_is_listed():
    assert PROGRAMS.keys() == {path.stem for path in EXAMPLES}


@pytest.mark.cpu
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_programs_of_an_example_round_trip(path, called, tmp_path, capsys, monkeypatch):
    runpy.run_path(str(path))["main"](**SMALL.get(path.stem, {}))
    monkeypatch.undo()

    assert PROGRAMS[path.stem] == [each.function.name for each in called]
    for each in called:
        check(each.model)
        again = sg.onnx.load(each.model)
        results = again(**{name: each.feeds[name] for name in again.input_names})
        results = results if isinstance(results, tuple) else (results,)
        for found in (run(each.model, each.feeds), results):
            for value, result in zip(each.expected, found, strict=True):
                assert (np.shape(value), np.asarray(value).dtype) == (result.shape, result.dtype)
                close(result, value)


def close(result, expected):
    """To 1e-4 of the largest in float32, and 1e-9 in float64; what is no float is the same."""
    if result.dtype.kind != "f":
        np.testing.assert_array_equal(result, expected)
        return
    share = 1e-4 if result.dtype == np.float32 else 1e-9
    largest = np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
    np.testing.assert_allclose(result, expected, rtol=0, atol=share * max(float(largest), 1e-30))
