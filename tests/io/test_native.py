"""Programs in files, and back."""

import collections
import copy
import json
import pickle
import subprocess
import sys
import threading

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open

import symgraph as sg
from symgraph.graph.types import DTYPES
from symgraph.io import container, manifest, native
from symgraph.io.container import checksum
from symgraph.ops.own_op import _declared

LABELS = np.array([0, 2])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "program.sg"


def again(what, **settings):
    """What is read of what is written, the latter for the second time with the same bytes."""
    content = native.to_bytes(what)
    found = native.from_bytes(content, **settings)

    assert content == native.to_bytes(what)
    assert content == native.to_bytes(found)
    return found


def same(a, b):
    """Whether two results have the same structure and bits."""
    assert type(a) is type(b)
    match a:
        case dict():
            assert list(a) == list(b)
            return all(same(a[key], b[key]) for key in a)
        case tuple() | list():
            return len(a) == len(b) and all(map(same, a, b))
        case None:
            return True
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


# Programs


def test_training_goes_on_where_it_was(training, images, path):
    training["train"](images, LABELS)
    sg.save(path, training)
    loaded = sg.load(path)

    for _ in range(4):
        assert same(training["train"](images, LABELS), loaded["train"](images, LABELS))
        assert same(training["predict"](images), loaded["predict"](images))
    assert same(training["train"](images), loaded["train"](images))  # the default labels


def test_functions_of_one_file_share_variables_and_those_of_two_loads_do_not(training, images, path):
    sg.save(path, training)
    first, second = sg.load(path), sg.load(path)
    before = second["predict"](images)
    first["train"](images, LABELS)

    assert not same(before, first["predict"](images))
    assert same(before, second["predict"](images))
    assert 0 == np.count_nonzero(training["predict"].variables[0].value)


def test_variables_keep_all_that_they_are(training, path):
    sg.save(path, training)
    loaded = sg.load(path)
    w, b, key = loaded["train"].variables

    assert ["w", "w", "noise"] == [each.name for each in (w, b, key)]
    assert [True, True, False] == [each.trainable for each in (w, b, key)]
    assert b is loaded["predict"].variables[1]
    assert w.default_update is None
    draw = sg.function([], sg.random.bits(key, ()))
    assert not same(draw(), draw())


def test_one_function_is_loaded_as_one(path):
    x = sg.placeholder("float64", ("n",), name="x")
    sg.function([x], x * 2, name="twice").save(path)
    f = sg.load(path)

    assert "twice" == f.name
    assert [2.0] == f(x=[1.0]).tolist()
    assert ["only"] == list(again({"only": f}))


def test_a_graph_is_loaded_as_a_function():
    x = sg.placeholder("float64", (), name="x")
    graph = sg.parse("def f(x: f64, y: f64):\n    v0: f64 = exp(x)\n    return v0, x\n")

    assert (1.0, 0.0) == again(graph)(0.0, 1.0)
    assert again(graph).graph is graph
    assert 3.0 == again(sg.parse(sg.show(sg.function([x], x + 1).graph)))(2.0)


STRUCTURES = {
    "none": lambda x: None,
    "one": lambda x: x,
    "tuple": lambda x: (x, (x + 1, None)),
    "list": lambda x: [x, [], [x]],
    "single": lambda x: (x,),
    "dict": lambda x: {"b": x, "a": {1: x, None: x, False: (x,)}},
    "constants": lambda x: (x, 3.0, np.arange(20)),
}


@pytest.mark.parametrize("make", STRUCTURES.values(), ids=STRUCTURES)
def test_structures_of_outputs(make):
    x = sg.placeholder("float64", (), name="x")
    v = sg.variable(1.0, name="v")
    f = sg.function([x], make(x), updates={v: v * x})

    assert same(f(2.0), again(f)(2.0))


@pytest.mark.parametrize("row", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (5, 7)])
def test_arrays_of_every_dtype(row, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(row.numpy)
    x = sg.placeholder(row.name, shape, name="x")
    v = sg.variable(array, name="v")
    f = sg.function([x], (x, sg.constant(array), v.reshape(-1)), defaults={x: array})

    assert same(f(), again(f)())


def test_bits_that_no_decimal_says():
    odd = np.array([np.nan, -np.nan, np.inf, -0.0, 5e-324]).view("u8")
    odd[0] += 5
    x = sg.placeholder("float64", (), name="x")
    f = sg.function([x], (x, sg.constant(odd.view("f8")), sg.constant(odd.view("f8")[:1].copy())))

    assert same(f(1.0), again(f)(1.0))


def loops():
    x = sg.placeholder("float64", ("n",), name="x")
    carried, steps = sg.scan(lambda c, e: (c * 0.5 + e, c), sg.constant(0.0), x)
    chosen = sg.cond(x.sum() > 0, lambda: sg.exp(x), lambda: x * 2)
    ended = sg.while_loop(lambda i: i < 10, lambda i: i + 3, sg.constant(0))
    return sg.function([x], (carried, steps, chosen, ended))


def gradients():
    x = sg.placeholder("float64", ("n",), name="x")

    @sg.custom_gradient
    def clipped(y):
        return y * 2, lambda g: sg.clip(g, -1.0, 1.0)

    kept = sg.checkpoint(lambda y: sg.sin(sg.tanh(y)))(x)
    total = (clipped(x) * 5 + kept).sum()
    return sg.function([x], (total, sg.grad(total, x)))


def data_decide():
    x = sg.placeholder("float64", (None,), name="x")
    found = x[sg.nonzero(x)[0]]
    return sg.function([x], (found, sg.sort(found).sum()))


@pytest.mark.parametrize("make", [loops, gradients, data_decide])
def test_inner_graphs_and_sizes_that_data_decide(make):
    f = make()
    x = np.array([0.5, 0.0, -2.0, 3.0])

    assert same(f(x), native.from_bytes(native.to_bytes(f))(x))


def test_inputs_that_are_no_placeholders_keep_their_names():
    x = sg.placeholder("float64", ("n",), name="x")
    middle = sg.exp(x)
    f = sg.function([middle], middle * 2)

    assert [2.0] == f(exp=[1.0]).tolist() == again(f)(exp=[1.0]).tolist()


def test_what_is_donated_stays_so():
    x = sg.placeholder("float64", (5,), name="x")
    f = again(sg.function([x], x + 1, donate=[x]))
    given = np.zeros(5)

    assert np.shares_memory(given, f(given))


def test_a_default_update_set_after_the_function_was_built_is_not_of_it():
    v = sg.variable(1, name="v")
    f = sg.function([], v * 1)
    v.default_update = v + 1
    loaded = again(f)

    assert [1, 1] == [int(loaded()), int(loaded())]
    later = sg.function([], loaded.variables[0] * 1)
    assert [1, 2, 3] == [int(later()) for _ in range(3)]


def test_default_updates_that_read_other_variables():
    a, b = sg.variable(1, name="a"), sg.variable(10, name="b")
    a.default_update = a + b
    b.default_update = b * 2
    f = sg.function([], a)
    loaded = again(f)

    assert [int(f()) for _ in range(4)] == [int(loaded()) for _ in range(4)]


def test_options_are_given_at_load(path):
    x = sg.placeholder("float64", (), name="x")
    sg.function([x], sg.log(x), options=sg.Options(watch=True)).save(path)

    assert np.isnan(sg.load(path)(-1.0))
    with pytest.raises(sg.RunError):
        sg.load(path, options=sg.Options(watch=True))(-1.0)


# Names


ODD = [
    '"',
    "'''",
    "\\",
    "a\nb",
    "../../etc/passwd",
    "\0",
    "é漢",
    "\u202e",
    "",
    "def",
    "{x}",
    "w w",
    "__import__('os')",
    "f32",
]


@pytest.mark.parametrize("name", ODD)
def test_names_are_data(name, path):
    x = sg.placeholder("float64", (), name="x")
    v, same_name = sg.variable(2.0, name=name), sg.variable(3.0, name=name)
    f = sg.function([x], {name: v * x + same_name}, updates={v: v + 1}, name=name)
    sg.save(path, {name: f, "other": f})
    loaded = sg.load(path)[name]

    assert {name: 7.0} == loaded(2.0)
    assert [name, name] == [each.name for each in loaded.variables]
    assert (f.name, [path.name]) == (loaded.name, [each.name for each in path.parent.iterdir()])


# Ops of a user's own


def test_own_ops_are_known_by_what_the_program_declares(path):
    @sg.python_op(result="f64[n] -> f64[n]")
    def files_twice(a):
        return a * 2

    @sg.composite()
    def files_thrice(x):
        return x * 3

    x = sg.placeholder("float64", ("n",), name="x")
    sg.function([x], files_thrice(files_twice(x))).save(path)
    assert [6.0] == sg.load(path)([1.0]).tolist()

    kept = _declared.pop("files_twice")
    try:
        with pytest.raises(sg.FileError, match="it needs the op 'files_twice', which somebody declared"):
            sg.load(path)
    finally:
        _declared["files_twice"] = kept


def test_a_user_s_op_does_not_stand_for_one_of_symgraph_s(path, monkeypatch):
    x = sg.placeholder("float64", ("n",), name="x")
    sg.function([x], sg.exp(x)).save(path)
    monkeypatch.setitem(_declared, "exp", ("somewhere", None))

    with pytest.raises(sg.FileError, match="it needs symgraph's op 'exp'"):
        sg.load(path)


# What is refused


def test_what_no_file_can_say(path):
    Point = collections.namedtuple("Point", "x y")
    x = sg.placeholder("float64", (), name="x")
    bare = sg.parse("def f(*, w: f64):\n    return w\n")
    for what, fault in [
        (sg.function([x], Point(x, x)), "a Point is among the outputs"),
        (sg.function([x], collections.OrderedDict(a=x)), "a OrderedDict is among the outputs"),
        (sg.function([x], {1.5: x}), "1.5 is a key among the outputs"),
        (sg.function([x], {2**70: x}), "is a key among the outputs"),
        (bare, "the variable 'w' has no value to save"),
        ({"\ud800": sg.function([x], x)}, "is no Unicode text"),
    ]:
        with pytest.raises(sg.FileError, match=fault):
            sg.save(path, what)
    for what in (x, {}, {"a": x}, {1: sg.function([x], x)}, None):
        with pytest.raises(sg.ArgumentError):
            sg.save(path, what)
    assert [] == list(path.parent.iterdir())


def changed(content, change):
    """A file of the same format, whole, with something else in its manifest or metadata."""
    opened = container.decode(content, "f")
    arrays, metadata = dict(opened.arrays), dict(opened.metadata)
    said = json.loads(arrays.pop("manifest").tobytes())
    change(said, arrays, metadata)
    text = np.frombuffer(json.dumps(said).encode(), "u1")
    metadata["manifest"] = checksum(text)
    return b"".join(container.encode({**arrays, "manifest": text}, metadata, "f"))


@pytest.mark.parametrize(
    "change, fault",
    [
        (lambda said, arrays, metadata: metadata.update(format="symgraph 2"), "it has format 2"),
        (lambda said, arrays, metadata: metadata.update(format="numpy"), "it has arrays and no program"),
        (lambda said, arrays, metadata: said["ops"].update(exp=2), "version 2 of the op exp"),
        (lambda said, arrays, metadata: said["ops"].update(magic=1), "needs symgraph's op 'magic'"),
        (lambda said, arrays, metadata: said["ops"].update(sin=1), "its list of ops is not"),
        (lambda said, arrays, metadata: said.update(more=1), "the unknown field 'more'"),
        (lambda said, arrays, metadata: said.update(single=1), "single should be true or false"),
        (lambda said, arrays, metadata: arrays.pop("variable/v"), "do not both have the array 'variable/v'"),
        (lambda said, arrays, metadata: arrays.update(x=np.zeros(1)), "do not both have the array 'x'"),
        (lambda said, arrays, metadata: arrays.update({"variable/v": np.ones(3)}), "'variable/v' is damaged"),
        (lambda said, arrays, metadata: said["functions"]["main"].update(outputs=[]), "says nothing"),
        (lambda said, arrays, metadata: said["functions"]["main"].update(outputs=None), "has more results"),
        (lambda said, arrays, metadata: said["functions"]["main"].update(arguments=[]), "1 inputs, and 0 names"),
        (lambda said, arrays, metadata: said["functions"]["main"]["variables"].update(v="q"), "no variable 'q'"),
        (lambda said, arrays, metadata: said["functions"]["main"]["variables"].clear(), "'v' has no value"),
    ],
)  # fmt: skip
def test_files_that_do_not_agree_with_themselves(path, change, fault):
    x = sg.placeholder("float64", (), name="x")
    v = sg.variable(np.zeros(3), name="v")
    content = native.to_bytes(sg.function([x], sg.exp(x) * v))
    path.write_bytes(changed(content, change))

    with pytest.raises(sg.FileError, match=r"program\.sg: .*" + fault):
        sg.load(path)


def test_nothing_is_looked_for_outside_the_file(path):
    alive = sg.constant(np.arange(50.0))
    x = sg.placeholder("float64", (50,), name="x")
    content = native.to_bytes(sg.function([x], x + alive))

    def forget(said, arrays, metadata):
        (name,) = [name for name in arrays if name.startswith("constant/")]
        del arrays[name], said["checksums"][name]

    path.write_bytes(changed(content, forget))

    with pytest.raises(sg.FileError, match="there is no array for the digest"):
        sg.load(path)


# Bytes


def test_the_same_program_in_another_process_has_the_same_bytes(training, path):
    script = (
        "import sys, numpy as np, symgraph as sg\n"
        "x = sg.placeholder('float32', ('n',), name='x')\n"
        "w = sg.variable(np.arange(100, dtype='f4').reshape(2, 50), name='w')\n"
        "f = sg.function([x], {'a': sg.softmax(x), 'b': w * 2}, updates={w: w + 1})\n"
        "sg.save(sys.argv[1], {'f': f, 'g': f})\n"
        "sg.save(sys.argv[2], sg.load(sys.argv[1]))\n"
    )
    copies = [path.with_name(f"{n}.sg") for n in range(4)]
    for n in (0, 2):
        subprocess.run([sys.executable, "-c", script, copies[n], copies[n + 1]], check=True)

    assert 1 == len({each.read_bytes() for each in copies})


def test_lines_are_kept_unless_they_are_not_wanted(path):
    x = sg.placeholder("float64", ("n",), name="lines_are_kept")
    f = sg.function([x], sg.exp(sg.sin(x)))

    sg.save(path, f)
    assert b"# test_native.py:" in path.read_bytes()
    sg.save(path, f, lines=False)
    assert b"test_native" not in path.read_bytes()


def test_large_arrays_stay_in_the_file(path):
    script = (
        "import sys, numpy as np, symgraph as sg\n"
        "f = sg.load(sys.argv[1])\n"
        "(v,) = f.variables\n"
        "(c,) = [n.attrs.value for n in f.graph.nodes() if n.op.name == 'constant' and n.size > 99]\n"
        "assert not v._array.flags.owndata and not c.flags.owndata\n"
        "assert f.variables[0].value.flags.writeable\n"
        "for n in range(5):\n"
        "    assert 600_000 * n + c.sum() == f(np.ones(1)), n\n"
        "v.value = np.full(600_000, 7.0)\n"
        "assert 7 * 600_000 + c.sum() == f(np.ones(1))\n"
        "assert not sg.load(sys.argv[1], mapped=False).variables[0]._array[0]\n"
    )
    x = sg.placeholder("float64", (1,), name="x")
    v = sg.variable(np.zeros(600_000), name="v")
    table = sg.constant(np.arange(400_000, dtype="f8"))
    sg.function([x], (v * x).sum() + table.sum(), updates={v: v + 1}).save(path)
    before = path.read_bytes()
    subprocess.run([sys.executable, "-c", script, path], check=True)

    assert before == path.read_bytes()


def test_other_programs_read_the_arrays(training, path):
    sg.save(path, training)
    with safe_open(path, "np") as opened:
        assert opened.get_tensor("program/predict").tobytes().startswith(b"def main(x: f32[batch, 4], *, w: ")
        assert np.ones(3).tolist() == opened.get_tensor("variable/w_2").tolist()
        assert {"format": "symgraph 1"}.items() <= opened.metadata().items()


def test_the_manifest_is_read_as_it_is_written():
    row = manifest.FunctionRow("f", "program/f", ("x",), (0,), {}, {"w": "w"}, {"tuple": ["node"]})
    made = manifest.Manifest(
        False, {"f": row}, {"w": manifest.VariableRow("w", True, "variable/w")},
        manifest.DefaultsRow("default updates", {"w": "w"}, ("w",)), {"exp": 1}, ("mine",), {"program/f": "0"},
    )  # fmt: skip

    assert made == manifest.from_json(manifest.to_json(made), "f")


# Pickle


def test_a_function_is_pickled_with_its_state_and_options(training, images):
    f = training["train"]
    for _ in range(3):  # the call is machine code by now
        f(images, LABELS)
    for copied in (pickle.loads(pickle.dumps(f)), copy.deepcopy(f)):
        before = [each.value.tobytes() for each in f.variables]
        assert before == [each.value.tobytes() for each in copied.variables]
        copied(images, LABELS)
        assert before == [each.value.tobytes() for each in f.variables]

    assert f is copy.copy(f)
    x = sg.placeholder("float64", (), name="x")
    options = sg.Options(backend="numpy", threads=1)
    g = pickle.loads(pickle.dumps(sg.function([x], x + 1, options=options)))
    assert (options, 2.0) == (g._program.options, g(1.0))


def test_rules_are_code_and_are_not_pickled():
    x = sg.placeholder("float64", (), name="x")
    y = sg.wild("y")
    swapped = sg.rule("twice y", sg.exp(y) * 2, 2 * sg.exp(y))
    f = sg.function([x], x * 2, options=sg.Options(rules=(swapped,)))

    with pytest.raises(sg.ArgumentError, match="main has rules of its own"):
        pickle.dumps(f)
    assert 4.0 == again(f)(2.0)


def test_pickled_functions_run_in_another_process(training, images, tmp_path):
    path = tmp_path / "f.pickle"
    path.write_bytes(pickle.dumps((training["predict"], images, training["predict"](images))))
    script = "import pickle, sys; f, x, y = pickle.load(open(sys.argv[1], 'rb')); assert (f(x) == y).all()"

    subprocess.run([sys.executable, "-c", script, path], check=True)


def test_bfloat16_is_what_it_was():
    v = sg.variable(np.arange(100).astype(ml_dtypes.bfloat16), name="v")

    assert same(v.value, again(sg.function([], v * 1)).variables[0].value)


def test_what_is_saved_while_others_train_was_true_at_one_time(path):
    a, b = sg.variable(np.zeros(1000), name="a"), sg.variable(np.zeros(1000), name="b")
    step = sg.function([], None, updates={a: a + 1, b: b + 1})
    stop = threading.Event()

    def train():
        while not stop.is_set():
            step()

    threads = [threading.Thread(target=train) for _ in range(2)]
    for each in threads:
        each.start()
    try:
        for _ in range(5):
            sg.save(path, step)
            first, second = (each.value for each in sg.load(path).variables)
            assert 1 == len({*first, *second})
    finally:
        stop.set()
        for each in threads:
            each.join()
