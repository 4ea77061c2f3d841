"""Arrays in the layout of safetensors."""

import json

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import symgraph as sg
from symgraph.graph.types import DTYPES
from symgraph.io import container

ARRAYS = {
    f"{row.name} {shape}": np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(row.numpy)
    for row in DTYPES
    for shape in [(), (3,), (0, 2), (2, 3, 1)]
}


def raw(header, rest=b""):
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


def refused(content):
    with pytest.raises(sg.FileError) as error:
        container.decode(content, "f")
    return str(error.value)


def test_every_dtype_comes_back_with_every_bit(tmp_path):
    path = tmp_path / "a.safetensors"
    container.write(path, ARRAYS, {"b": "x", "a": "é"})
    found = container.read(path)

    assert ARRAYS.keys() == found.arrays.keys()
    for name, array in ARRAYS.items():
        got = found.arrays[name]
        assert (array.dtype, array.shape, array.tobytes()) == (got.dtype, got.shape, got.tobytes())
        assert not got.flags.writeable
        assert got.flags.aligned
    assert "é" == found.metadata["a"]
    assert container.is_canonical(found)


def test_the_same_bytes_in_any_order():
    backwards = dict(reversed(ARRAYS.items()))

    assert b"".join(container.encode(ARRAYS, {"a": "1", "b": "2"}, "f")) == b"".join(
        container.encode(backwards, {"b": "2", "a": "1"}, "f")
    )


def test_the_safetensors_package_reads_what_is_written(tmp_path):
    path = tmp_path / "a.safetensors"
    plain = {name: array for name, array in ARRAYS.items() if array.dtype != ml_dtypes.bfloat16}
    container.write(path, plain, {"a": "b"})
    found = load_file(path)

    for name, array in plain.items():
        assert array.tobytes() == found[name].tobytes()


def test_what_the_safetensors_package_writes_is_read(tmp_path):
    path = tmp_path / "a.safetensors"
    plain = {"w": np.ones((2, 3), "f4"), "i": np.arange(3), "b": np.array([True])}
    save_file(plain, path, {"format": "np"})
    found = container.read(path)

    assert {"format": "np"} == found.metadata
    for name, array in plain.items():
        np.testing.assert_array_equal(array, found.arrays[name])


def test_a_file_of_more_than_4_gigabytes(tmp_path):
    path = tmp_path / "large.safetensors"
    size = 5 << 30
    header = raw(
        {
            "zeros": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]},
            "x": {"dtype": "F64", "shape": [2], "data_offsets": [size, size + 16]},
        }
    )
    with open(path, "wb") as file:  # nothing is stored for the zeros
        file.write(header)
        file.seek(len(header) + size)
        file.write(np.array([1.0, 2.0]).tobytes())
    found = container.read(path)

    assert [1.0, 2.0] == found.arrays["x"].tolist()
    assert (size,) == found.arrays["zeros"].shape
    assert 0 == found.arrays["zeros"][-1]


def test_a_large_file_is_mapped_and_a_copy_is_asked_for(tmp_path):
    path = tmp_path / "a.safetensors"
    container.write(path, {"x": np.zeros(1 << 20)})

    mapped, copied = container.read(path), container.read(path, mapped=False)
    container.write(path, {"x": np.ones(1 << 20)})

    assert 0.0 == mapped.arrays["x"][-1] == copied.arrays["x"][-1]
    assert 1.0 == container.read(path).arrays["x"][-1]


X = {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}


@pytest.mark.parametrize(
    "content, fault",
    [
        (b"", "it has 0 bytes, and its header's length alone takes 8"),
        (b"\xff" * 20, "its header would have"),
        (raw("[]"), "it is no object"),
        (raw('{"a":1,"a":2}'), "'a' is there twice"),
        (raw('{"x":{"dtype":"U8","dtype":"U8"}}'), "'dtype' is there twice"),
        (raw('{"a":NaN}'), "NaN is no int"),
        (raw('{"a":1.5}'), "1.5 is no int"),
        (raw('{"a":' + "9" * 400 + "}"), "is too large"),
        (raw("[" * 5000), "too deeply nested"),
        (raw('{"\\ud800":0}'), "a name is no Unicode text"),
        (raw(b'{"\xff":0}'.decode("latin1")), "has not just a dtype"),
        (raw({"__metadata__": {"a": 1}}), "its metadata are no strings"),
        (raw({"x": {"dtype": "U8", "shape": [2]}}), "the array 'x' has not just a dtype"),
        (raw({"x": {**X, "more": 1}}, b"ab"), "has not just a dtype"),
        (raw({"x": {**X, "dtype": "F8_E4M3"}}, b"ab"), "is of 'F8_E4M3'"),
        (raw({"x": {**X, "shape": [-2]}}, b"ab"), "no int of 0 or more"),
        (raw({"x": {**X, "shape": [True]}}, b"ab"), "no int of 0 or more"),
        (raw({"x": {**X, "shape": [2, *[1] * 64]}}, b"ab"), "has 65 axes"),
        (raw({"x": {**X, "shape": [2**62, 0, 2**62]}}, b""), "more elements than there can be"),
        (raw({"x": {**X, "shape": [3]}}, b"ab"), "needs 3 bytes, and has 2"),
        (raw({"x": X}, b"abc"), "its arrays have 2 bytes, and it has 3 for them"),
        (raw({"x": X}, b"a"), "its arrays have 2 bytes, and it has 1 for them"),
        (raw({"x": X, "y": X}, b"ab"), "'y' begins at byte 0, and the one before ends at 2"),
        (raw({"x": {**X, "data_offsets": [1, 3]}}, b"abc"), "'x' begins at byte 1"),
        (raw({"x": {**X, "dtype": "BOOL"}}, b"\1\2"), "other bytes than 0 and 1"),
        (raw({"__metadata__": {"complex128": '["x"]'}, "x": X}, b"ab"), "is no array of pairs of float64"),
        (raw({"__metadata__": {"complex128": '"x"'}, "x": X}, b"ab"), "is no list of names"),
    ],
)  # fmt: skip
def test_what_is_refused(content, fault):
    assert fault in refused(content)


def test_what_cannot_be_written():
    x = np.zeros(1)
    for arrays, fault in [
        ({"\ud800": x}, "is no Unicode text"),
        ({f"{i}": x for i in range(30_001)}, "30000 is the most"),
        ({"a" * (1 << 24): x}, "are too long"),
    ]:
        with pytest.raises(sg.FileError, match=fault):
            container.encode(arrays, {}, "f")
