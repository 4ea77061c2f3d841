"""Spoiled files end in a FileError that names the file and the fault, in bounded time and memory.

``SYMGRAPH_CORRUPTIONS=20000 pytest tests/io/test_hostile.py`` draws that many of each kind.
"""

import json
import tracemalloc

import numpy as np
import pytest

import symgraph as sg
from symgraph.io import container
from symgraph.io.container import checksum
from tests.effort import measured
from tests.io import hostile

LINES = 5_000_000
"""Of Python that run: about a second's work."""
BYTES = 100 << 20
"""Above the file's size."""


@pytest.fixture
def native(training, tmp_path):
    path = tmp_path / "whole.sg"
    sg.save(path, training)
    return path.read_bytes()


@pytest.fixture
def variables():
    values = {
        "w": np.ones((4, 3), "f4"),
        "c": np.array([1 + 2j]),
        "b": np.array([True, False]),
        "s": np.array(3),
    }
    return [sg.variable(value, name=name) for name, value in values.items()]


def outcome(path, content, read):
    """The error that reading a file of these bytes ends in, or what is read; and the lines that ran."""
    path.write_bytes(content)

    def result():
        try:
            return read(path)
        except sg.FileError as error:
            return error

    found, lines = measured(result)
    if isinstance(found, sg.FileError):
        assert str(found).startswith(f"{path}: ")
        assert len(str(found)) > len(str(path)) + 10
    return found, lines


def test_spoiled_bytes_of_programs(native, tmp_path, draws):
    for seed in range(draws):
        content = hostile.spoiled(native, hostile.generator(seed))
        found, lines = outcome(tmp_path / "drawn.sg", content, sg.load)

        assert isinstance(found, sg.FileError), seed
        assert LINES > lines, seed


def test_spoiled_bytes_of_checkpoints(variables, tmp_path, draws):
    path = tmp_path / "whole.safetensors"
    sg.checkpoint.save(variables, path)
    whole = path.read_bytes()
    before = [each.value.tobytes() for each in variables]

    for seed in range(draws):
        content = hostile.spoiled(whole, hostile.generator(seed))
        found, lines = outcome(
            path, content, lambda path: sg.checkpoint.restore(variables, path, partial=True)
        )

        assert isinstance(found, sg.FileError), seed
        assert LINES > lines, seed
    assert before == [each.value.tobytes() for each in variables]


def test_whole_files_that_say_what_no_program_says(native, tmp_path, draws):
    """Their checksums are right, so some of them say another program; that one is as good as any."""
    for seed in range(draws):
        content = hostile.resealed(native, hostile.generator(seed))
        found, lines = outcome(tmp_path / "drawn.sg", content, sg.load)

        assert LINES > lines, seed
        if not isinstance(found, sg.FileError):
            for function in found.values() if isinstance(found, dict) else [found]:
                sg.verify(function.graph)


@pytest.mark.parametrize("kind", [hostile.spoiled, hostile.resealed])
def test_memory_is_bounded(native, tmp_path, kind, draws):
    path = tmp_path / "drawn.sg"
    tracemalloc.start()
    try:
        for seed in range(draws // 10):
            content = kind(native, hostile.generator(seed))
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            outcome(path, content, sg.load)

            assert BYTES + len(content) > tracemalloc.get_traced_memory()[1] - before, seed
    finally:
        tracemalloc.stop()


HEADERS = {
    "dicts": '{"x":[' + ",".join(['{"":0}'] * 199_000) + "]}",
    "lists": '{"x":[' + ",".join(["[]"] * 299_000) + "]}",
    "strings": '{"x":[' + ",".join(f'"{i}"' for i in range(290_000)) + "]}",
    "a long string": '{"x":"' + "\U0001f600" * 4_000_000 + '"}',
    "digits": '{"x":' + "9" * 16_000_000 + "}",
    "deep": "[" * 590_000,
    "spaces": " " * 16_000_000 + "{}",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_the_largest_headers_take_bounded_memory(tmp_path, header):
    text = header.encode()
    content = len(text).to_bytes(8, "little") + text
    tracemalloc.start()
    try:
        found, _ = outcome(tmp_path / "drawn.sg", content, sg.load)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert isinstance(found, sg.FileError)
    assert BYTES + len(content) > peak


TEXTS = {
    "commas": (
        "def main(x: f32):\n    return " + "x," * 500_000,
        "line 2, column 5: a statement has more than",
    ),
    "lines": (
        "def main(x: f32):\n" + "    v: f32 = exp(x)\n" * 40_000,
        "line 3, column 5: 'v' is defined already",
    ),
    "sizes": ("def main(x: f32[n" + " + 1*n" * 150_000 + "]):\n    return x", "line 1"),
    "int": ("def main(x: f32):\n    return x[0x" + "f" * 1_000_000 + "]", "line 2, column 12: an input is"),
}


@pytest.mark.parametrize("text, fault", TEXTS.values(), ids=TEXTS)
def test_hostile_texts_take_bounded_memory(native, tmp_path, text, fault):
    """There are more of them in tests/graph/test_statements.py."""
    content = with_parts(native, lambda manifest, arrays: arrays.update({"program/predict": as_text(text)}))
    tracemalloc.start()
    try:
        found, _ = outcome(tmp_path / "drawn.sg", content, sg.load)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert f"function 'predict': {fault}" in str(found)
    assert BYTES + len(content) > peak


def test_an_array_has_one_use(native, tmp_path):
    """Or a file of a megabyte could be a thousand programs of a megabyte."""

    def other_program(manifest, arrays):
        manifest["functions"]["again"] = manifest["functions"]["predict"]

    def other_variable(manifest, arrays):
        manifest["variables"]["u"] = manifest["variables"]["w"]

    def donated_twice(manifest, arrays):
        manifest["functions"]["predict"]["donated"] = [0, 0]

    faults = {
        other_program: "the array 'program/predict' is used twice",
        other_variable: "the array 'variable/w' is used twice",
        donated_twice: "in its manifest donated should be positions that differ",
    }
    for change, fault in faults.items():
        found, _ = outcome(tmp_path / "drawn.sg", with_parts(native, change), sg.load)

        assert str(found).endswith(fault)


def with_parts(content, change):
    """A whole file with something changed in its manifest or its arrays."""
    opened = container.decode(content, "drawn")
    arrays = dict(opened.arrays)
    manifest = json.loads(arrays.pop("manifest").tobytes())
    change(manifest, arrays)
    manifest["checksums"] = {name: checksum(array) for name, array in sorted(arrays.items())}
    text = as_text(json.dumps(manifest))
    metadata = {**opened.metadata, "manifest": checksum(text)}
    return b"".join(container.encode({**arrays, "manifest": text}, metadata, "drawn"))


def as_text(text):
    return np.frombuffer(text.encode(), "u1")


def test_a_size_that_no_file_has_is_not_allocated(tmp_path):
    header = b'{"x":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}'
    path = tmp_path / "huge.sg"

    found, _ = outcome(path, len(header).to_bytes(8, "little") + header, sg.load)

    assert f"{path}: its arrays have 8000000000000 bytes, and it has 0 for them" == str(found)


def test_what_is_no_file(tmp_path):
    with pytest.raises(sg.FileError, match=r"missing\.sg: cannot be read: No such file"):
        sg.load(tmp_path / "missing.sg")
    with pytest.raises(sg.FileError, match="it is no file"):
        sg.load(tmp_path)
    with pytest.raises(sg.FileError, match="cannot be read: embedded null"):
        sg.load("a\0b")
