import numpy as np
import pytest

import symgraph as sg
from symgraph.codegen.own_cuda import explained
from symgraph.errors import DeviceError
from symgraph.options import has_llvm
from symgraph.runtime import emulator, nvrtc

x = sg.placeholder("float32", ("n",), name="x")
a = sg.placeholder("float64", ("n",), name="a")
m = sg.placeholder("float32", ("n", "k"), name="m")
w = sg.placeholder("float32", ("k",), name="w")

needs_llvm = pytest.mark.skipif(not has_llvm(), reason="llvmlite is absent")
needs_compiler = pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler")
SIMULATED = sg.Options(device="cuda-sim")


@sg.scalar_op(
    dtypes=["float16", "float32", "float64"],
    llvm="""
        %square = fmul {T} %x, %x     ; as the others
        %inner = fadd {T} {1.0}, %square
        %root = call {T} @llvm.sqrt.{S}({T} %inner)
        %y = fdiv {T} %x, %root
        ret {T} %y
    """,
    cuda="x / sqrt(1 + x * x)",
)
def in_squash(x):
    return x / np.sqrt(1 + x * x)


@in_squash.vjp
def _(g, x, out):
    return g / (1 + x * x) ** 1.5


@sg.scalar_op(
    result="bool",
    llvm="""
        %size = call {T} @llvm.fabs.{S}({T} %x)
        %is = fcmp olt {T} %size, %most
        ret {R} %is
    """,
    cuda="fabs(x) < most",
)
def in_reach(x, most):
    return np.abs(x) < most


@sg.scalar_op(
    dtypes=["int32", "uint8"],
    llvm="%y = xor {T} %x, {85}\n%z = add {I} %y, {I:1}\nret {T} %z",
    cuda="({T})((x ^ 85) + 1)",
)
def in_scrambled(x):
    return (x ^ x.dtype.type(85)) + x.dtype.type(1)


@sg.scalar_op(
    dtypes=["float64", "float32"],
    llvm="""
        define {T} @collatz({T} %x, {T} %most) {
        entry:
          br label %next
        next:
          %n = phi {T} [ %x, %entry ], [ %new, %next ]
          %count = phi {T} [ {0.0}, %entry ], [ %more, %next ]
          %half = fmul {T} %n, {0.5}
          %whole = call {T} @llvm.floor.{S}({T} %half)
          %even = fcmp oeq {T} %half, %whole
          %three = fmul {T} %n, {3.0}
          %odd = fadd {T} %three, {1.0}
          %new = select i1 %even, {T} %half, {T} %odd
          %more = fadd {T} %count, {1.0}
          %far = fcmp one {T} %new, {1.0}
          %soon = fcmp olt {T} %more, %most
          %again = and i1 %far, %soon
          br i1 %again, label %next, label %done
        done:
          ret {T} %more
        }
    """,
    cuda="""
        {T} n = x, count = 0;
        do {
            n = floor(n / 2) == n / 2 ? n / 2 : 3 * n + 1;
            count += 1;
        } while (n != 1 && count < most);
        return count;
    """,
)
def in_collatz(x, most):
    n, count, going = x + 0 * most, 0 * (x + most), np.ones(np.broadcast_shapes(x.shape, most.shape), bool)
    while going.any():
        n = np.where(going, np.where(n % 2 == 0, n / 2, 3 * n + 1), n).astype(x.dtype)
        count = (count + going).astype(x.dtype)
        going = going & (n != 1) & (count < most)
    return count


CASES = {
    "half": (in_squash, [np.linspace(-3, 3, 37, dtype="float16")]),
    "float": (in_squash, [np.linspace(-3, 3, 37, dtype="float32")]),
    "double": (in_squash, [np.linspace(-3, 3, 12).reshape(3, 4)]),
    "mask": (in_reach, [np.linspace(-3, 3, 37, dtype="float32"), np.float32([[1.5], [0.5]])]),
    "int": (in_scrambled, [np.arange(-20, 20, dtype="int32")]),
    "byte": (in_scrambled, [np.arange(256, dtype="uint8")]),
    "loop": (in_collatz, [np.arange(1.0, 30.0), [[9.0], [100.0]]]),
    "loop in float": (in_collatz, [np.arange(1.0, 30.0, dtype="float32"), np.float32(50)]),
}


@pytest.mark.parametrize("case", CASES)
def test_all_backends_give_what_the_function_means(case):
    op, arrays = CASES[case]

    looked_at = sg.check_op(op, *arrays)

    assert "numpy" in looked_at
    assert ("gradient" in looked_at) == (case == "double")


def test_a_text_stands_in_the_kernel_around_it():
    f = sg.function([m, w], sg.softmax(in_squash(m * 2) + w, axis=1))

    assert 1 == len(f.plan.steps)
    assert "x / sqrt(1 + x * x)" in f.source("cuda")
    if has_llvm():
        assert "%own" in f.source("llvm") and "@llvm.sqrt.v" in f.source("llvm")
        assert "no machine code" not in f.explain()


@needs_llvm
def test_it_is_the_code_of_the_same_lines_in_ops():
    """Every vector, masked ones too, and reductions: the same bits as the built-in ops."""
    rng = np.random.default_rng(0)
    with_own = sg.function([m], [in_squash(m), in_squash(m).sum(axis=1), in_squash(m.T * 3)])
    plain = [y / sg.sqrt(1 + y * y) for y in (m, m.T * 3)]
    built_in = sg.function([m], [plain[0], plain[0].sum(axis=1), plain[1]])
    for shape in ((0, 3), (1, 1), (5, 7), (33, 65), (1, 1000)):
        given = rng.normal(size=shape).astype("float32")
        for expected, found in zip(built_in(given), with_own(given), strict=True):
            np.testing.assert_array_equal(expected, found)


def test_arguments_are_promoted_and_broadcast():
    counts = sg.placeholder("int8", ("n",), name="counts")

    assert ["float32", "float64", "float64"] == [
        in_reach(*each).inputs[0].row.name for each in ((x, 1), (x, a), (counts, a))
    ]
    assert "bool[n]" == str(in_reach(x, 1.0).type)
    with pytest.raises(sg.DTypeError, match="takes float32 or float64 values, not complex64"):
        in_reach(sg.placeholder("complex64", (), name="c"), 1.0)
    with pytest.raises(sg.ShapeError):
        in_reach(sg.ones(3), sg.ones(4))


def test_gradients_pass_through_broadcasting():
    (found,) = sg.check_gradient(
        (in_squash(sg.expand_dims(a, 0) + sg.ones((3, 1), "float64")) ** 2).sum(), [a], {a: [0.1, -2.0]}
    )

    assert found.error < 1e-8


# What has no text


@sg.scalar_op(dtypes=["float32", "float64"], cuda={"float64": "x + 1"})
def in_next(x):
    return x + 1


def test_without_a_text_a_kernel_is_numpy_calls_and_says_so():
    f = sg.function([x], in_next(x * 2))

    np.testing.assert_array_equal([3.0, 5.0], f(np.float32([1, 2])))
    if has_llvm():
        assert "no machine code for in_next of float32, for which test_own.py:" in f.explain()


@needs_compiler
def test_each_dtype_of_a_device_has_a_text_of_its_own():
    for argument, has_text in ((x, False), (a, True)):
        f = sg.function([argument], in_next(argument) * 2, options=SIMULATED)

        np.testing.assert_array_equal([4.0, 6.0], f(np.array([1, 2], argument.dtype)))
        assert has_text == ("no CUDA C for in_next" not in f.explain())


def test_what_the_function_gives_is_looked_at():
    @sg.scalar_op(dtypes=["float32"])
    def in_wide(x):
        return x * np.float64(2)

    @sg.scalar_op(dtypes=["float32"])
    def in_short(x):
        return x.sum()

    with pytest.raises(sg.DTypeError, match=r"in_wide \(test_own.py:\d+\): it gave float64\[2\]"):
        sg.function([x], in_wide(x))(np.float32([1, 2]))
    with pytest.raises(sg.ShapeError, match=r"it gave float32\[\] and should give float32\[2\]"):
        sg.function([x], in_short(x))(np.float32([1, 2]))


# Texts that are refused


def made(**texts):
    return sg.scalar_op(dtypes=["float32"], name="in_bad", **texts)(lambda x: x)


@needs_llvm
@pytest.mark.parametrize(
    "text, message",
    [
        (
            "%a = fad {T} %x, {1.0}\nret {T} %a",
            "line 1: expected instruction opcode\n  %a = fad {T} %x, {1.0}",
        ),
        (
            "; one\n\n%a = fadd {T} %b, %x\nret {T} %a",
            "line 3: use of undefined value '%own1.b'\n  %a = fadd",
        ),
        ("%a = fadd {T} %x, %x\nret {T} %b", "line 2: use of undefined value"),
        ("%a = fcmp oeq {T} %x, %x\nret {M} %a", "gives i1 where it should give float"),
        ("%a = call {T} @llvm.sqroot.{S}({T} %x)\nret {T} %a", "line 1: there is no intrinsic llvm.sqroot"),
        ("define double @f(float %x) {\nret double 0.0\n}", "it should be define float @in_bad(float) {"),
        (
            "define float @f(float %x) {\n  ret float %z\n}",
            "line 2: use of undefined value '%z'\n  ret float %z",
        ),
        ("%a = call {T} @other({T} %x)\nret {T} %a", "line 1: use of undefined value '@other'"),
    ],
)
def test_llvm_that_is_none_is_an_error_about_its_line(text, message):
    with pytest.raises(DeviceError) as error:
        sg.function([x], made(llvm=text)(x))(np.ones(3, "float32"))

    assert message in str(error.value)
    assert "in_bad (test_own.py:" in str(error.value)


CUDA = [
    ("x + y", "line 1:", "x + y"),
    ("float z = x;\nreturn z + bad(x);", "line 2:", "return z + bad(x);"),
    ("(x + 1", "line 1:", "(x + 1"),
]


@needs_compiler
@pytest.mark.parametrize("text, place, line", CUDA)
def test_cuda_that_is_none_is_an_error_about_its_line(text, place, line):
    with pytest.raises(DeviceError, match=r"refuses the CUDA text of in_bad \(test_own.py:\d+\)") as error:
        sg.function([x], made(cuda=text)(x), options=SIMULATED)(np.ones(3, "float32"))

    assert place in str(error.value) and str(error.value).endswith(f"\n  {line}")


@pytest.mark.skipif(not nvrtc.available(), reason="NVRTC is absent")
@pytest.mark.parametrize("text, place, line", CUDA)
def test_so_it_is_where_nvrtc_compiles(text, place, line):
    source = sg.function([x], made(cuda=text)(x)).source("cuda")
    with pytest.raises(DeviceError) as error:
        nvrtc.compiled(source, 80)

    said = str(explained(error.value))
    assert place in said and said.endswith(f"\n  {line}")


@pytest.mark.skipif(not nvrtc.available(), reason="NVRTC is absent")
def test_nvrtc_takes_what_the_emulator_takes():
    f = sg.function([x, a], [in_squash(x), in_collatz(a, 9.0), in_scrambled(sg.astype(x, "int32"))])

    assert nvrtc.compiled(f.source("cuda"), 90)


@pytest.mark.parametrize(
    "texts, message",
    [
        ({"llvm": "%a = fadd {T} %x, %x"}, "end in a ret"),
        ({"llvm": "br label %a\na:\nret {T} %x"}, "no labels and branches"),
        ({"llvm": "define float @f() {\n}\ndefine float @g() {\n}"}, "more than one function"),
        ({"cuda": "#define Y 1\nreturn x;"}, "has no #"),
        ({"cuda": {"float16": "x"}}, "float16, which is not among the real dtypes"),
        ({"cuda": ""}, "its text for float32 is ''"),
    ],
)
def test_texts_that_cannot_be_ones_are_refused_at_once(texts, message):
    with pytest.raises(sg.GraphError, match=message):
        made(**texts)


def test_two_texts_of_one_name_do_not_meet():
    """As of a notebook's cell that ran again: the nodes of before keep their own text, in one kernel."""
    ops = [
        doubled(f"%y = fmul {{T}} %x, {{{factor}.0}}\nret {{T}} %y", f"x * {factor}", np.float32(factor))
        for factor in (2, 3)
    ]
    outputs = [op(x) for op in ops]

    for options in (sg.Options(), *([SIMULATED] if emulator.available() else [])):
        f = sg.function([x], outputs, options=options)
        assert 1 == len(f.plan.steps)
        np.testing.assert_array_equal([[2.0, 4.0], [3.0, 6.0]], f(np.float32([1, 2])))


def doubled(llvm, cuda, by):
    @sg.scalar_op(dtypes=["float32"], llvm=llvm, cuda=cuda)
    def in_twice(x):
        return x * by

    return in_twice


# Whole kernels


ROWS = """
    #define THREADS 32
    static __device__ float twice(float x) { return 2 * x; }

    // The products of rows with weights; a block has a row.
    extern "C" __global__ void rows_of(const float* __restrict__ in, float const *w, float* out, int n, int k) {
        __shared__ float part[THREADS];
        float total = 0;
        for (int j = threadIdx.x; j < k; j += blockDim.x) total += twice(in[blockIdx.x * k + j]) * w[j];
        part[threadIdx.x] = total;
        __syncthreads();
        if (threadIdx.x == 0) {
            float sum = 0;
            for (int j = 0; j < THREADS; ++j) sum += part[j];
            out[blockIdx.x] = sum;
        }
    }
"""
RULE = "f32[n, k], f32[k] -> f32[n]"


def rows_meaning(x, w):
    return (2 * x @ w).astype("float32")


in_rows = sg.cuda_kernel(ROWS, "rows_of", result=RULE, grid="n", block=32, numpy=rows_meaning, name="in_rows")
in_rows.vjp(lambda g, x, w, out: (2 * sg.outer(g, w), 2 * (g @ x)))
in_rows_alone = sg.cuda_kernel(ROWS, "rows_of", result=RULE, grid="n", block=32, name="in_rows_alone")


@needs_compiler
def test_a_kernel_runs_in_the_emulator():
    rng = np.random.default_rng(0)
    outputs = [in_rows(m * 2, w) + 1, in_rows_alone(m.T, w[: m.shape[0]]), in_rows(m[:, 1:], w[1:])]
    outputs.append(in_rows(sg.broadcast_to(w, (3, w.shape[0])), sg.flip(w)))
    f = sg.function([m, w], outputs, options=SIMULATED)
    for shape in ((5, 37), (1, 1), (4, 64), (3, 0), (0, 3)):
        x_, w_ = rng.normal(size=shape).astype("float32"), rng.normal(size=shape[1]).astype("float32")
        if shape[1] < shape[0]:
            continue
        expected = [
            rows_meaning(x_ * 2, w_) + 1, rows_meaning(x_.T, w_[: shape[0]]), rows_meaning(x_[:, 1:], w_[1:]),
            rows_meaning(np.broadcast_to(w_, (3, shape[1])), w_[::-1]),
        ]  # fmt: skip
        for want, found in zip(expected, f(x_, w_), strict=True):
            np.testing.assert_allclose(want, found, rtol=1e-4, atol=1e-4)


def test_a_kernel_means_its_function_elsewhere():
    looked_at = sg.check_op(in_rows, np.ones((2, 3), "float32"), np.float32([1, 2, 3]), tolerance=1e-6)
    slope = sg.function([m], sg.grad(in_rows(m, w).sum(), w))

    assert "numpy" in looked_at
    assert "in_rows(in_, w)" in repr(in_rows)
    np.testing.assert_array_equal([4.0, 4.0], slope(np.ones((2, 2), "float32")))


def test_without_one_a_call_is_an_error():
    with pytest.raises(
        DeviceError, match=r"in_rows_alone \(test_own.py:\d+\) is a CUDA kernel and has no NumPy"
    ):
        sg.function([m, w], in_rows_alone(m, w))(np.ones((2, 2), "float32"), np.ones(2, "float32"))


@needs_compiler
def test_sizes_that_do_not_fit_are_told_with_their_lines():
    f = sg.function([m, x], in_rows_alone(m, x), options=SIMULATED)

    with pytest.raises(sg.ShapeError, match=r"argument 1 is f32\[2\], not f32\[k\] where k is 3 and n is 2"):
        f(np.ones((2, 3), "float32"), np.ones(2, "float32"))


def kernel(body, parameters="const float* x, float* y, int n", **kwargs):
    source = f'extern "C" __global__ void own({parameters}) {{\n{body}\n}}'
    return sg.cuda_kernel(
        source, "own", name="in_own", **{"result": "f32[n] -> f32[n]", "grid": "n", **kwargs}
    )


@needs_compiler
@pytest.mark.parametrize(
    "body, kwargs, message",
    [
        ("int i = 3 +;", {}, "refuses the CUDA text of in_own (test_own.py:"),
        (
            "if (threadIdx.x) return;\n__syncthreads();",
            {},
            "returns while others wait at __syncthreads (line 3)",
        ),
        ("y[0] = 1;", {"grid": "n - 3"}, "its grid (0, 1) has no blocks where n is 3"),
    ],
)
def test_what_goes_wrong_on_a_device_is_told(body, kwargs, message):
    f = sg.function([x], kernel(body, **kwargs)(x), options=SIMULATED)

    with pytest.raises((DeviceError, sg.ShapeError)) as error:
        f(np.ones(3, "float32"))
    assert message in str(error.value)


@needs_compiler
def test_sizes_may_have_64_bits_and_grids_two_axes():
    body = "int i = blockIdx.x * 2 + blockIdx.y;\nif (i < n) y[i] = x[n - 1 - i];"
    reverse = kernel(body, "const float* x, float* y, long long n", grid=lambda n: ((n + 1) // 2, 2), block=1)

    np.testing.assert_array_equal(
        [3.0, 2.0, 1.0], sg.function([x], reverse(x), options=SIMULATED)(np.float32([1, 2, 3]))
    )


@pytest.mark.parametrize(
    "parameters, kwargs, message",
    [
        (
            "const float* x, float* y, int m",
            {},
            "the parameter 'int m' of own is no int or long long; the sizes are n",
        ),
        (
            "const double* x, float* y, int n",
            {},
            r"the parameter 'const double\* x' of own is const float\* for f32",
        ),
        ("float* x, float* y, int n", {}, r"is const float\* for f32"),
        ("const float* x", {}, "own has 1 parameters, and its rule 2 arrays"),
        ("const float* x, float* y, float n", {}, "is no int or long long"),
        ("const float* x, float* y", {"grid": "m"}, "there is no size m"),
        ("const float* x, float* y", {"grid": "n +"}, "is no number of blocks"),
        ("const float* x, float* y", {"grid": (1, 1, 1)}, "a grid has one or two axes"),
        ("const float* x, float* y", {"block": 2000}, "a block has 1 to 1024 threads"),
        ("const float* x, float* y", {"result": "f32[n] -> f32[k]"}, "of sizes that its inputs have"),
        ("const float* x, float* y", {"result": "T[n] -> T[n]"}, "a kernel has real dtypes"),
        ("const float* x, float* y", {"result": "f32[n] -> f32, f32"}, "a kernel has one result"),
    ],
)
def test_declarations_that_do_not_fit_are_refused(parameters, kwargs, message):
    with pytest.raises(sg.GraphError, match=message):
        kernel("", parameters, **kwargs)


def test_a_source_has_the_kernel():
    with pytest.raises(sg.GraphError, match=r'no extern "C" __global__ void other'):
        sg.cuda_kernel(ROWS, "other", result=RULE, grid="n")
    with pytest.raises(sg.GraphError, match=r'no extern "C" __global__ void own'):
        sg.cuda_kernel("__global__ void own(float* y) { }", "own", result="-> f32[1]", grid=1)


@pytest.mark.skipif(not nvrtc.available(), reason="NVRTC is absent")
def test_nvrtc_compiles_a_kernel():
    assert nvrtc.compiled(sg.function([m, w], in_rows(m, w)).source("cuda"), 80)
