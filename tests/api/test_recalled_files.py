"""What programs are recalled from: files that may be damaged or missing, and processes that read and write them."""

import marshal
import os
import subprocess
import sys
import textwrap
from functools import partial

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.runtime import elf
from symgraph.runtime.cache import Cache
from symgraph.runtime.code import code
from tests.api.recalling import again, arrays, assert_same, is_planned, network
from tests.concurrency import together

pytestmark = [
    pytest.mark.skipif(not elf.is_known(), reason="programs are recalled where code loads without LLVM"),
    pytest.mark.usefixtures("place"),
]


def files(place):
    return sorted(path for path in place.glob("*/*") if path.is_file())


def test_damaged_files_are_as_if_they_were_not_there(place):
    expected, f = again(network, *arrays())
    for path in files(place):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    f = network()

    assert_same(expected, f(*arrays()))
    assert is_planned(f)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [],
        lambda rows: None,
        lambda rows: "nonsense",
        lambda rows: [*rows[:-1], []],
        lambda rows: [*rows[:-1], [([], *rest) for names, *rest in rows[-1]]],
        lambda rows: [*rows[:-1], [([*names, "f"], *rest) for names, *rest in rows[-1]]],
        lambda rows: [rows[0][1:], *rows[1:]],
        lambda rows: [*rows[:3], 0, *rows[4:]],
        lambda rows: [
            *rows[:2],
            [(f, [[1 << 90] * len(t[0])], s, n, c) for f, t, s, n, c in rows[2]],
            *rows[3:],
        ],
        lambda rows: [*rows[:2], [(f, t, [(99, 0, 0)], n, c) for f, t, s, n, c in rows[2]], *rows[3:]],
    ],
)
def test_recipes_that_nobody_wrote_are_not_followed(place, change):
    expected, f = again(network, *arrays())
    name = f._program.executor._shelf._name([x.shape for x in arrays()])
    disk = Cache(place)
    disk.put(name, marshal.dumps(change(list(marshal.loads(disk.get(name))))))

    assert_same(expected, f(*arrays()))
    assert is_planned(f)


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", marshal.dumps(7), marshal.dumps(("x",)), marshal.dumps((9,))]
)
def test_a_program_whose_entry_nobody_wrote_is_planned(place, content):
    expected, f = again(network, *arrays())
    Cache(place).put(f._program.executor._shelf._key, content)
    f = network()

    assert is_planned(f)
    assert_same(expected, f(*arrays()))


def test_nothing_is_kept_where_there_is_no_folder(monkeypatch):
    monkeypatch.setenv("SYMGRAPH_CACHE", "")
    expected, f = again(network, *arrays())

    assert_same(expected, f(*arrays()))
    assert is_planned(f)


def test_a_folder_that_takes_nothing_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SYMGRAPH_CACHE", str(tmp_path / "file"))
    expected, f = again(network, *arrays())

    assert_same(expected, f(*arrays()))
    assert is_planned(f)


def test_better_code_is_left_for_the_next(place):
    x = sg.placeholder("float64", (3,), name="x")
    number, a = np.random.default_rng().normal(), np.arange(3.0)  # whose code nobody has
    expected, f = again(lambda: sg.function([x], sg.exp(x) * number), a)
    name = f._program.executor._shelf._name([(3,)])
    quick = marshal.loads(Cache(place).get(name))
    for _ in range(4):
        f(a)
    code().settle()
    better = marshal.loads(Cache(place).get(name))
    g = sg.function([x], sg.exp(x) * number)

    assert not any(is_best for _, _, is_best, _ in quick[-1])
    assert all(is_best for _, _, is_best, _ in better[-1])
    assert_same(expected, g(a))
    assert_same(expected, f(a))
    assert not is_planned(f)
    assert not is_planned(g)


def test_threads_that_call_at_once_each_have_memory_of_their_own():
    given = [arrays(seed=seed) for seed in range(8)]
    first = network()
    expected = [first(*each) for each in given]
    code().settle()
    f, found = network(), {}
    together(*[partial(lambda n: found.update({n: f(*given[n])}), n) for n in range(8)])

    for n, each in enumerate(expected):
        assert_same(each, found[n])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not copied here")
def test_a_copy_of_the_process_recalls_as_well():
    expected, f = again(network, *arrays())
    f(*arrays())
    child = os.fork()
    if not child:
        same = all(x.tobytes() == y.tobytes() for x, y in zip(f(*arrays()), expected, strict=True))
        os._exit(0 if same else 1)

    assert 0 == os.waitpid(child, 0)[1]


# Another process, indeed

PROGRAM = """
    import os, sys, time
    import numpy as np
    import symgraph as sg
    from symgraph.runtime import identity
    identity._SINCE = 1 << 63
    x, t = (sg.placeholder("float32", ("n", size), name=name) for size, name in ((8, "x"), (3, "t")))
    w, v = (sg.placeholder("float32", shape, name=name) for shape, name in (((8, 16), "w"), ((16, 3), "v")))
    loss = ((sg.tanh(x @ w) @ v - t) ** 2).mean()
    f = sg.function([x, t, w, v], [loss, *sg.grad(loss, [w, v])], options=sg.Options(threads=1))
    rng, n = np.random.default_rng(0), int(os.environ.get("ROWS", 5))
    given = [rng.normal(size=shape).astype("float32") for shape in ((n, 8), (n, 3), (8, 16), (16, 3))]
    print(*(x.tobytes().hex() for x in f(*given)))
    print(*sorted({name.split(".")[0] for name in sys.modules} & {"llvmlite", "networkx", "scipy"}))
    print(*sorted({"symgraph.optimizations.passes", "symgraph.runtime.native_backend"} & set(sys.modules)))
"""


def process(**environment):
    """Another process that runs the program: it gives the results, and what was imported that takes long."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip


def answer(run):
    out, errors = run.communicate()
    assert (0, "") == (run.returncode, errors)
    return out.splitlines()


@pytest.mark.parametrize("rows", ["5", "20000"])  # so many take parts of the arrays in turn
def test_a_second_process_imports_no_planner_and_no_compiler(rows):
    first, second = answer(process(ROWS=rows)), answer(process(ROWS=rows))

    assert first[0] == second[0]
    assert "symgraph.optimizations.passes" in first[2]
    assert ["", ""] == second[1:]


def test_another_processor_is_another_program():
    known = np._core._multiarray_umath
    features = [name for name in known.__cpu_dispatch__ if known.__cpu_features__[name]]
    if not features:
        pytest.skip("this processor has no feature that NumPy can be told to leave alone")
    first = answer(process())
    second = answer(process(NPY_DISABLE_CPU_FEATURES=features[-1]))

    assert first[0] == second[0]
    assert "symgraph.optimizations.passes" in second[2]


def test_many_processes_at_once_give_the_same():
    expected = answer(process(SYMGRAPH_CACHE=""))[0]
    found = [answer(run)[0] for _ in range(2) for run in [process() for _ in range(8)]]

    assert {expected} == set(found)
