"""Values of variables in files."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import symgraph as sg


@pytest.fixture
def path(tmp_path):
    return tmp_path / "step.safetensors"


def three():
    w = sg.variable(np.arange(6.0).reshape(2, 3), name="w")
    other = sg.variable(np.ones(2, "float32"), name="w")
    z = sg.variable(np.array([1 + 2j, 3]), name="z")
    return [w, other, z]


def values(variables):
    return [(each.value.dtype, each.value.shape, each.value.tobytes()) for each in variables]


def test_values_come_back(path):
    variables = three()
    before = values(variables)
    sg.checkpoint.save(variables, path)
    for each in variables:
        each.value = np.zeros_like(each.value)
    report = sg.checkpoint.restore(variables, path)

    assert before == values(variables)
    assert ("w", "w_2", "z") == report.restored
    assert () == report.missing + report.extra + report.misfits


def test_saving_twice_gives_the_same_bytes(path):
    sg.checkpoint.save(three(), path)
    first = path.read_bytes()
    sg.checkpoint.save(three(), path)

    assert first == path.read_bytes()


def test_a_restore_that_does_not_fit_changes_nothing(path):
    w, other, z = three()
    sg.checkpoint.save([w, z], path)
    wide = sg.variable(np.zeros((2, 4)), name="w")
    same = sg.variable(np.zeros(2, "complex128"), name="z")
    new = sg.variable(0.0, name="new")
    with pytest.raises(sg.FileError) as error:
        sg.checkpoint.restore([wide, same, new], path)

    assert "restored: z\nmissing: new\nmisfits: w (float64[2, 3] for f64[2, 4])" in str(error.value)
    assert [0, 0] == same.value.tolist()
    report = sg.checkpoint.restore([wide, same, new], path, partial=True)
    assert (("z",), ("new",), ()) == (report.restored, report.missing, report.extra)
    assert [1 + 2j, 3] == same.value.tolist()
    assert (("w",), ("z",)) == (
        sg.checkpoint.restore([w], path).restored,
        sg.checkpoint.restore([w], path).extra,
    )
    assert other.value.tolist() == [1, 1]


def test_a_mapping_gives_other_names(path):
    w, _, _ = three()
    sg.checkpoint.save({"layer/0": w}, path)
    other = sg.variable(np.zeros((2, 3)), name="unlike")
    sg.checkpoint.restore({"layer/0": other}, path)

    assert w.value.tolist() == other.value.tolist()


def test_a_session_has_values_of_its_own(path):
    w = sg.variable(1.0, name="w")
    stream = sg.RandomStream(0, name="stream")
    draw = stream.uniform(())
    with sg.Session() as session:
        session.run([sg.assign_add(w, 1.0), draw])
        sg.checkpoint.save(session, path)
        later = session.run([w, draw])
    assert 1.0 == w.value
    assert {"w", "stream"} == load_file(path).keys()

    with sg.Session() as session:
        report = sg.checkpoint.restore(session, path, variables=[w, stream.variable])
        assert ("w", "stream") == report.restored
        assert later == session.run([w, draw])
    assert 1.0 == w.value


def test_calls_see_what_was_restored(path):
    w = sg.variable(np.zeros(3), name="w")
    f = sg.function([], w * 2, updates={w: w + 1})
    for _ in range(3):
        f()
    sg.checkpoint.save([w], path)
    for _ in range(3):
        f()
    sg.checkpoint.restore([w], path)

    assert [6.0] * 3 == f().tolist()
    assert [8.0] * 3 == f().tolist()


def test_a_loaded_function_s_variables(path, training, images):
    step = training["train"]
    sg.checkpoint.save(step.variables, path)
    first = step(images)
    sg.checkpoint.restore(step.variables, path)

    assert first["loss"] == step(images)["loss"]


def test_files_of_others_are_taken_when_that_is_said(path):
    w = sg.variable(np.zeros(3, "float32"), name="w")
    save_file({"w": np.ones(3, "float32")}, path)
    with pytest.raises(sg.FileError, match="foreign=True"):
        sg.checkpoint.restore([w], path)
    sg.checkpoint.restore([w], path, foreign=True)

    assert [1, 1, 1] == w.value.tolist()


def test_a_program_is_no_checkpoint_and_the_other_way_round(path, training):
    sg.save(path, training)
    with pytest.raises(sg.FileError, match="it is no checkpoint"):
        sg.checkpoint.restore(training["train"].variables, path)
    sg.checkpoint.save(training["train"].variables, path)
    with pytest.raises(sg.FileError, match="restore reads checkpoints"):
        sg.load(path)


@pytest.mark.parametrize("what", [1, None, [1], {"w": 1}, "w", sg.variable(0.0)])
def test_what_is_no_variable(path, what):
    with pytest.raises(sg.ArgumentError):
        sg.checkpoint.save(what, path)
    with pytest.raises(sg.ArgumentError):
        sg.checkpoint.restore(what, path)
    with pytest.raises(sg.ArgumentError):
        sg.checkpoint.Saver(what, path).save(1)


def test_a_saver_keeps_the_last(tmp_path):
    w = sg.variable(0.0, name="w")
    saver = sg.checkpoint.Saver([w], tmp_path / "run", max_to_keep=3)
    assert ([], None) == (saver.steps, saver.latest)
    with pytest.raises(sg.FileError, match="there is no checkpoint"):
        saver.restore()
    for step in (1, 2, 9, 10, 11):
        w.value = float(step)
        assert saver.save(step).name == f"checkpoint-{step}.safetensors"

    assert [9, 10, 11] == saver.steps
    assert "checkpoint-11.safetensors" == saver.latest.name
    w.value = 0.0
    saver.restore()
    assert 11.0 == w.value
    saver.restore(9)
    assert 9.0 == w.value
    saver.save(3)  # an earlier step again is kept, and what is older than the others goes
    assert [3, 10, 11] == saver.steps


def test_a_saver_leaves_other_files_alone(tmp_path):
    w = sg.variable(0.0, name="w")
    others = [
        "checkpoint-.safetensors",
        "checkpoint-01.safetensors",
        "my-checkpoint-1.safetensors",
        "checkpoint-1.txt",
    ]
    for name in others:
        (tmp_path / name).write_bytes(b"")
    saver = sg.checkpoint.Saver([w], tmp_path, max_to_keep=1)
    saver.save(5)
    saver.save(6)

    assert {*others, "checkpoint-6.safetensors"} == {each.name for each in tmp_path.iterdir()}
    kept = sg.checkpoint.Saver([w], tmp_path, max_to_keep=None, name="all")
    for step in range(8):
        kept.save(step)
    assert list(range(8)) == kept.steps


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".a", "a\\b", "a\0b", "C:x", 1])
def test_a_saver_s_name_stays_in_its_folder(tmp_path, name):
    with pytest.raises(sg.ArgumentError):
        sg.checkpoint.Saver([], tmp_path, name=name)


@pytest.mark.parametrize("step", [-1, 1.5, "1", True, 10**18])
def test_a_saver_s_step_is_a_number(tmp_path, step):
    with pytest.raises(sg.ArgumentError):
        sg.checkpoint.Saver([], tmp_path).save(step)
    with pytest.raises(sg.ArgumentError):
        sg.checkpoint.Saver([], tmp_path, max_to_keep=0)


def test_it_is_still_the_decorator():
    x = sg.placeholder("float64", (), name="x")
    y = sg.checkpoint(lambda x: sg.sin(sg.tanh(x)))(x)

    assert 1.0 == sg.evaluate(sg.grad(y, x), {x: 0.0})
    assert "gradient" in sg.checkpoint.__doc__
