"""``symgraph aot``: a library of a file's function."""

import ctypes
import shutil

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.cli import main


@pytest.fixture
def path(tmp_path):
    x = sg.placeholder("float64", ("n",), name="x")
    path = tmp_path / "two.sg"
    sg.save(
        path, {"twice": sg.function([x], x * 2, name="twice"), "sum": sg.function([x], x.sum(), name="a sum")}
    )
    return str(path)


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_function_of_a_file_is_called_from_a_shared_library(path, tmp_path, capsys):
    assert 0 == main(["aot", path, str(tmp_path / "lib"), "--function", "twice"])
    assert "int twice(int64_t n, const double *x, double *out, void *memory);\n" == capsys.readouterr().out

    (shared,) = (tmp_path / "lib").glob("libtwice.*")
    array, out = np.arange(5.0), np.zeros(5)
    given = [ctypes.c_void_p(x.ctypes.data) for x in (array, out)]
    assert 0 == ctypes.CDLL(str(shared)).twice(ctypes.c_int64(5), *given, None)
    np.testing.assert_array_equal(out, array * 2)


def test_names_sizes_and_processors(path, tmp_path, capsys):
    command = ["aot", path, str(tmp_path / "lib"), "--function", "sum", "--no-shared"]
    assert 1 == main(command)
    assert "'a sum' is no name for a function in C; name=... gives another" in capsys.readouterr().err
    options = ["--name", "total", "--size", "n=3", "--cpu", "cortex-a72", "--target", "aarch64-linux-gnu"]
    assert 0 == main([*command, *options])
    assert "int total(const double *x, double *out, void *memory);\n" == capsys.readouterr().out
    names = {path.name for path in (tmp_path / "lib").iterdir()}
    assert names == {"total.o", "total.h", "main.c", "CMakeLists.txt"}
    assert 1 == main([*command, "--name", "total", "--cpu", "z80"])
    assert "LLVM knows no processor 'z80'" in capsys.readouterr().err
    assert 1 == main(["aot", path, str(tmp_path / "lib")])
    assert "has sum, twice" in capsys.readouterr().err.replace("twice, sum", "sum, twice")
    with pytest.raises(SystemExit):
        main([*command, "--size", "n3"])
    assert "'n3' is not NAME=NUMBER" in capsys.readouterr().err
