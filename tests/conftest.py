"""What all tests share."""

import importlib.util
import itertools
import os
import shutil
import sys
import tempfile

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # others only wait for each other over matrices of 3 rows

OWN_CACHE = "SYMGRAPH_CACHE" not in os.environ
"""Whether compiled code goes to a folder of this run, which its processes share."""
if OWN_CACHE:
    os.environ["SYMGRAPH_CACHE"] = tempfile.mkdtemp(prefix="symgraph-")


def pytest_addoption(parser):
    parser.addoption("--no-llvm", action="store_true", help="as if llvmlite were not installed")
    parser.addoption("--update", action="store_true", help="rewrite the golden files from today's results")
    parser.addoption("--fuzz-seed", type=int, default=0, help="the first seed of the drawn programs")


def pytest_configure(config):
    if config.getoption("--no-llvm"):
        sys.modules["llvmlite"] = None  # nobody can import it


def pytest_unconfigure(config):
    if OWN_CACHE:
        shutil.rmtree(os.environ["SYMGRAPH_CACHE"], ignore_errors=True)


def pytest_report_header(config):
    absent = config.getoption("--no-llvm") or importlib.util.find_spec("llvmlite") is None
    return (
        "kernels: loops of NumPy calls, llvmlite is absent"
        if absent
        else "kernels: machine code, through LLVM"
    )


@pytest.fixture(autouse=True, scope="session")
def _nothing_recalled():
    """No test finds what another has planned, nor writes it down: those of that have folders of their own."""
    identity = importlib.import_module("symgraph.runtime.identity")
    identity._SINCE = 0
    identity.identity.cache_clear()


@pytest.fixture
def update(request):
    """Whether golden files are to be rewritten."""
    return request.config.getoption("--update")


@pytest.fixture
def as_first_compiled(monkeypatch):
    """No better code is made in the background: who calls a function four times does not wait to see it."""
    monkeypatch.setattr("symgraph.runtime.code.Code.improve", lambda code, functions: None)


@pytest.fixture
def either_text(monkeypatch):
    """Every second text of a kernel is the one that runs in the end, the others are those that are compiled soonest."""
    native = importlib.import_module("symgraph.runtime.native")
    printed, turns = native.print_native, itertools.cycle((True, False))
    monkeypatch.setattr(
        native,
        "print_native",
        lambda *args, quick, **more: printed(*args, quick=quick and next(turns), **more),
    )


@pytest.fixture
def thorough(request):
    """Whether CUDA's text was asked for, and nothing else: then all of it is looked at, for some minutes."""
    return request.config.option.markexpr == "cuda_text"
