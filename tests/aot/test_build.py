"""The files of a library, as a C compiler and who calls it see them."""

import shutil
import subprocess

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.aot.library import translated
from symgraph.examples import digits
from symgraph.runtime.cpu import assembly, host, machine_of, object_file

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
STRICT = ["cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1"]


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def predictor():
    x, logits, _ = digits.network()
    return sg.function(
        [x], {"digit": sg.argmax(logits, axis=1), "p": sg.softmax(logits, axis=1)}, name="predict"
    )


@needs_cc
def test_the_digits_predictor_runs_from_c(tmp_path):
    predict = predictor()
    library = sg.aot.build(predict, tmp_path)
    images = digits.load_digits()[0][:37]
    images.tofile(tmp_path / "x.bin")

    run(*STRICT, "-o", "main", "main.c", "predict.o", "-lm", cwd=tmp_path)
    said = run("./main", "37", "x.bin", cwd=tmp_path)

    expected = predict(images)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "digit.bin", "int64"), expected["digit"])
    np.testing.assert_array_equal(np.fromfile(tmp_path / "p.bin", "float32"), expected["p"].ravel())
    assert said.splitlines()[0] == "digit: " + " ".join(map(str, expected["digit"][:10]))
    assert library.shared.stat().st_size <= 250_000
    assert library.object.stat().st_size <= 250_000


@needs_cc
@pytest.mark.skipif(shutil.which("nm") is None, reason="there is no nm")
def test_it_needs_nobody_and_shows_its_functions_alone(tmp_path):
    library = sg.aot.build(predictor(), tmp_path)
    asked = run("nm", "-D", "--undefined-only", library.shared, cwd=tmp_path)
    assert {line.split()[0] for line in asked.splitlines()} <= {"w"}  # what the linker itself adds
    shown = run("nm", "-g", "--defined-only", library.object, cwd=tmp_path)
    assert {line.split()[-1] for line in shown.splitlines()} == {"predict", "predict_memory"}


@needs_cc
def test_states_begin_and_go_on(tmp_path):
    w = sg.variable(np.array([1.0, -2.0, 0.5]), name="w")
    x = sg.placeholder("float64", (3,), name="x")
    step = sg.function([x], (w * x).sum(), updates={w: w - 0.1 * x}, name="step")
    library = sg.aot.build(step, tmp_path)
    assert library.signature == "int step(const double *x, double *w, double *out, void *memory)"
    np.array([1.0, 2.0, 3.0]).tofile(tmp_path / "x.bin")

    run(*STRICT, "-o", "main", "main.c", "step.o", "-lm", cwd=tmp_path)
    run("./main", "x.bin", cwd=tmp_path)

    np.testing.assert_array_equal(np.fromfile(tmp_path / "out.bin"), step([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(np.fromfile(tmp_path / "w.bin"), w.value)


@needs_cc
@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler")
def test_the_header_is_cpp_too(tmp_path):
    sg.aot.build(predictor(), tmp_path, shared=False)
    call = "int main() { return predict(0, nullptr, nullptr, nullptr, nullptr); }"
    (tmp_path / "main.cpp").write_text(f'#include "predict.h"\n#include "predict.h"\n{call}\n')
    run("c++", "-Wall", "-Wextra", "-Werror", "-o", "main", "main.cpp", "predict.o", cwd=tmp_path)
    run("./main", cwd=tmp_path)


@needs_cc
@pytest.mark.skipif(shutil.which("cmake") is None, reason="there is no cmake")
def test_cmake_builds_the_example(tmp_path):
    sg.aot.build(predictor(), tmp_path, shared=False)
    run("cmake", "-S", ".", "-B", "made", cwd=tmp_path)
    run("cmake", "--build", "made", cwd=tmp_path)
    assert run("made/predict_example", "1", cwd=tmp_path).startswith("digit: ")


CBLAS = """
#include <stdio.h>
#define CBLAS(NAME, T) void NAME(int order, int ta, int tb, int m, int n, int k, T alpha, const T *a, int lda, \\
    const T *b, int ldb, T beta, T *c, int ldc) { \\
    if (order != 101 || ldc < (n > 1 ? n : 1)) { puts("wrong"); return; } \\
    if (lda < (ta == 111 ? k : m) || ldb < (tb == 111 ? n : k) || lda < 1 || ldb < 1) { puts("wrong"); return; } \\
    for (int i = 0; i < m; i++) for (int j = 0; j < n; j++) { \\
        T sum = 0; \\
        for (int l = 0; l < k; l++) \\
            sum += a[ta == 111 ? i * lda + l : l * lda + i] * b[tb == 111 ? l * ldb + j : j * ldb + l]; \\
        c[i * ldc + j] = alpha * sum + (beta == 0 ? 0 : beta * c[i * ldc + j]); } }
CBLAS(cblas_sgemm, float)
CBLAS(cblas_dgemm, double)
"""


@needs_cc
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_by_cblas(tmp_path, dtype):
    """By one that is written here, and looks at its arguments."""
    a, b = sg.placeholder(dtype, ("n", "k"), name="a"), sg.placeholder(dtype, ("k", "m"), name="b")
    many = sg.placeholder(dtype, (3, "k", "n"), name="many")
    outputs = [
        a @ b,
        b.T @ a.T,
        a @ b[:, 0],
        a[0] @ b,
        a[0] @ b[:, 0],
        many @ a,
        many.transpose((0, 2, 1)) @ b,
        a[:, ::-1] @ b,
    ]
    f = sg.function([a, b, many], outputs, name="products")
    library = sg.aot.build(f, tmp_path, blas="cblas", shared=False)
    (tmp_path / "cblas.c").write_text(CBLAS)
    run(*STRICT, "-o", "main", "main.c", "products.o", "cblas.c", "-lm", cwd=tmp_path)
    shown = object_names(library.object)
    assert {"cblas_sgemm" if dtype == "float32" else "cblas_dgemm"} <= shown
    rng = np.random.default_rng(0)
    n, k, m = 4, 5, 3
    given = {"a": (n, k), "b": (k, m), "many": (3, k, n)}
    arrays = {name: rng.normal(size=shape).astype(dtype) for name, shape in given.items()}
    for name, array in arrays.items():
        array.tofile(tmp_path / f"{name}.bin")

    said = run("./main", str(n), str(k), str(m), "a.bin", "b.bin", "many.bin", cwd=tmp_path)

    assert "wrong" not in said
    for n, expected in enumerate(f(*arrays.values())):
        found = np.fromfile(tmp_path / f"out_{n}.bin", dtype).reshape(expected.shape)
        np.testing.assert_allclose(
            found, expected, rtol=1e-5 if dtype == "float32" else 1e-13, err_msg=str(n)
        )


def object_names(path):
    done = subprocess.run(["nm", path], capture_output=True, text=True)
    return {line.split()[-1] for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("cpu", "target", "width"),
    [
        ("x86-64", "x86_64-linux-gnu", 16),
        ("x86-64-v3", "x86_64-linux-gnu", 32),
        ("znver4", "x86_64-linux-gnu", 64),
        ("cortex-a72", "aarch64-linux-gnu", 16),
        ("apple-m1", "arm64-apple-darwin", 16),
    ],
)
def test_other_processors(cpu, target, width):
    machine = machine_of(cpu, target)
    assert machine.bytes == width
    _, made = translated(predictor(), "predict", {}, machine)
    code = made.constants.filled(object_file(made.text, machine))
    assert len(code) > 60_000
    assert code.startswith(b"\x7fELF" if "linux" in target else b"\xcf\xfa\xed\xfe")


@needs_cc
def test_a_library_for_any_x86_processor_runs_here(tmp_path):
    if not host().triple.startswith("x86_64"):
        pytest.skip("this is no x86-64 processor")
    x = sg.placeholder("float64", ("n",), name="x")
    f = sg.function([x], {"y": sg.exp(x) * x + sg.sin(x)}, name="f")
    sg.aot.build(f, tmp_path, cpu="x86-64")
    array = np.linspace(-3, 3, 29)
    array.tofile(tmp_path / "x.bin")
    run(*STRICT, "-o", "main", "main.c", "f.o", "-lm", cwd=tmp_path)
    run("./main", "29", "x.bin", cwd=tmp_path)
    np.testing.assert_allclose(np.fromfile(tmp_path / "y.bin"), f(array)["y"], rtol=1e-15)


@needs_cc
def test_sizes_of_results_that_c_has_to_compute(tmp_path):
    x, y = sg.placeholder("int64", ("n",), name="x"), sg.placeholder("int64", ("m",), name="y")
    outputs = [x[1::2], x[: x.shape[0] % 3], (x[:, None] * y).reshape((-1,))[::-2], x + y[: y.shape[0] // 2]]
    f = sg.function([x, y], outputs, name="f")
    sg.aot.build(f, tmp_path, shared=False)
    run(*STRICT, "-o", "main", "main.c", "f.o", "-lm", cwd=tmp_path)
    for n, m in ((3, 7), (0, 0), (1, 5), (6, 2)):
        arrays = np.arange(n), np.arange(m) + 10
        for name, array in zip("xy", arrays, strict=True):
            array.tofile(tmp_path / f"{name}.bin")
        run("./main", str(n), str(m), "x.bin", "y.bin", cwd=tmp_path)
        for k, expected in enumerate(f(*arrays)):
            np.testing.assert_array_equal(np.fromfile(tmp_path / f"out_{k}.bin", "int64"), expected)


def test_hostile_names_are_names_in_c(tmp_path):
    inputs = [
        sg.placeholder("float32", (), name=name) for name in ("int", "größe", "register", "memory", "PI")
    ]
    state = sg.variable(np.zeros(2, "float32"), name='*/ #error "x\\')
    row = sg.placeholder("float32", ("größe",), name="größe_")
    total = sum(inputs[1:], inputs[0]) + row.sum()
    outputs = {"*/": total, "while": {"x y": state * 2, '"': row}}
    f = sg.function([*inputs, row], outputs, updates={state: state + total}, name="f")
    library = sg.aot.build(f, tmp_path, shared=False)
    text = library.header.read_text() + library.example.read_text() + library.cmake.read_text()
    assert text.isascii()
    assert "#error" not in text
    if shutil.which("cc"):
        run(*STRICT, "-o", "main", "main.c", "f.o", "-lm", cwd=tmp_path)


@pytest.mark.parametrize("name", ["int", "two words", "1st", "", "f;", "größe"])
def test_a_name_that_is_none_in_c_is_refused(tmp_path, name):
    with pytest.raises(sg.ArgumentError, match="is no name for a function in C"):
        sg.aot.build(predictor(), tmp_path / "new", name=name)
    assert not (tmp_path / "new").exists()


def test_what_is_refused(tmp_path):
    x = sg.placeholder("float64", ("n",), name="x")
    f = sg.function([x], sg.sort(x) * 2, name="f")
    with pytest.raises(sg.DeviceError, match="sort is computed by a library of Python's") as caught:
        sg.aot.build(f, tmp_path / "new")
    assert "sg.sort(x) * 2" in str(caught.value)
    assert not (tmp_path / "new").exists()
    g = sg.function([x], x * 2, name="g")
    with pytest.raises(sg.ArgumentError, match="there is no size 'm'; the sizes are n"):
        sg.aot.build(g, tmp_path, sizes={"m": 3})
    with pytest.raises(sg.ArgumentError, match="it must be an int, 0 or more"):
        sg.aot.build(g, tmp_path, sizes={"n": -3})
    with pytest.raises(sg.ArgumentError, match="knows no processor 'pentium99'"):
        sg.aot.build(g, tmp_path, cpu="pentium99")
    with pytest.raises(sg.ArgumentError, match="knows no system 'vax'"):
        sg.aot.build(g, tmp_path, target="vax")
    with pytest.raises(sg.ArgumentError, match='"inline" or "cblas"'):
        sg.aot.build(g, tmp_path, blas="mkl")
    with pytest.raises(sg.ArgumentError, match="made of a compiled function"):
        sg.aot.build(x, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(sg.FileError, match="cannot be made"):
        sg.aot.build(g, tmp_path / "file")


def test_equal_programs_are_equal_files(tmp_path):
    for folder in ("a", "b"):
        sg.aot.build(predictor(), tmp_path / folder, shared=False)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_code_has_full_vectors():
    x = sg.placeholder("float32", (1 << 16,), name="x")
    _, made = translated(sg.function([x], sg.tanh(x) * 2), "f", {}, host())
    width = {64: "zmm", 32: "ymm"}.get(host().bytes)
    assert width is None or width in assembly(made.text)
