"""Named arrays in one file, in the layout of safetensors: read in bounded memory, and never trusted.

A file is eight bytes, the length of the header; the header, a JSON object that says of each array its dtype, its shape
and its bytes' place; and the bytes of all arrays, without gaps. There is one such layer and nothing nested, so nothing
is unpacked, no name is a path, and arrays are used where they lie in the file. What `write` makes, every reader of
safetensors reads; `Container` reads what they write.

complex128, for which safetensors has no name, is stored as pairs of float64 along a last axis, and the metadata's
``complex128`` lists the names of such arrays.

The layout: https://huggingface.co/docs/safetensors, "Format".
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import ml_dtypes
import numpy as np

from symgraph.errors import FileError
from symgraph.io import atomic

Array = np.ndarray[Any, Any]

MOST_ARRAYS = 30_000
MOST_AXES = 64  # NumPy's
LONGEST_HEADER = 1 << 24
MOST_MARKS = 600_000
"""Brackets, commas and colons in one JSON text: so many values take less than 100 MB."""
LONGEST_INT = 20  # characters
LARGEST_COPIED = 1 << 16
"""Bytes; a larger array stays where it is in a file that is mapped."""
LARGEST_READ = 1 << 20
"""Bytes; a larger file is mapped."""
ALIGNED = 64

_DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("bool"), "I8": np.dtype("i1"), "U8": np.dtype("u1"), "I16": np.dtype("i2"),
    "U16": np.dtype("u2"), "F16": np.dtype("f2"), "BF16": np.dtype(ml_dtypes.bfloat16), "I32": np.dtype("i4"),
    "U32": np.dtype("u4"), "F32": np.dtype("f4"), "I64": np.dtype("i8"), "U64": np.dtype("u8"),
    "F64": np.dtype("f8"), "C64": np.dtype("c8"),
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_COMPLEX128 = np.dtype("c16")


@dataclass(frozen=True, slots=True)
class Container:
    """What a file holds: arrays by name, in the file's order, and strings that describe it.

    Arrays are read-only where they lie in the file or in the bytes given.
    """

    place: str
    metadata: Mapping[str, str]
    arrays: Mapping[str, Array]
    header: bytes

    def refuse(self, fault: str) -> NoReturn:
        """Raises FileError, naming the file and the fault."""
        raise FileError(f"{self.place}: {fault}")


def read(path: str | os.PathLike[str], *, mapped: bool = True) -> Container:
    """The arrays of a file, whose bytes are looked at when they are used.

    A large file is mapped, so that its arrays take memory only where they are read; whoever changes the file in place
    then changes them. A file that is replaced, as ``write`` does, stays as it was for those who have it.

    Raises FileError.
    """
    place = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise FileError(f"{place}: it is no file")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            content: bytes | mmap.mmap
            if mapped and size > LARGEST_READ:
                content = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
            else:
                content = file.read(size)
    except FileError:
        raise
    except (OSError, ValueError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise FileError(f"{place}: cannot be read: {why}") from error
    return decode(content, place)


def write(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays to a file that is there as a whole or not at all; equal content gives equal bytes.

    Raises FileError.
    """
    atomic.write(path, encode(arrays, metadata or {}, os.fspath(path)))


def checksum(array: Array) -> str:
    """32 hexadecimal digits of a dtype, a shape and bytes."""
    found = hashlib.blake2b(f"{array.dtype.name}{array.shape}".encode(), digest_size=16)
    found.update(_bytes(array))
    return found.hexdigest()


def encode(arrays: Mapping[str, Array], metadata: Mapping[str, str], place: str) -> list[bytes | memoryview]:
    """The parts of a file; arrays are not copied. Those of the largest elements come first, so that all are aligned.

    Raises FileError for what no file can hold.
    """
    _need_little_endian(place)
    if len(arrays) > MOST_ARRAYS:
        raise FileError(f"{place}: it would have {len(arrays)} arrays, and {MOST_ARRAYS} is the most")
    for text in (*arrays, *metadata, *metadata.values()):
        if not _is_text(text):
            raise FileError(f"{place}: {text!r:.60} is no Unicode text, and cannot be written")
    order = _order(arrays)
    header = _header({name: arrays[name] for name in order}, metadata)
    if len(header) > LONGEST_HEADER or _marks(header) > MOST_MARKS:
        raise FileError(f"{place}: its names and metadata are too long")
    return [header, *(_bytes(arrays[name]) for name in order)]


def decode(content: bytes | mmap.mmap, place: str) -> Container:
    """The arrays in the bytes of a file, which ``place`` names. Raises FileError."""
    _need_little_endian(place)
    fault = Container(place, {}, {}, b"").refuse
    if len(content) < 8:
        fault(f"it has {len(content)} bytes, and its header's length alone takes 8")
    length = int.from_bytes(content[:8], "little")
    if length > min(len(content) - 8, LONGEST_HEADER):
        fault(
            f"its header would have {length} bytes, and it has {len(content)}: it is cut off, or no such file"
        )
    header = bytes(content[: 8 + length])
    table = parse_json(header[8:], place, "header")
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(each, str) for each in metadata.values()):
        fault("its metadata are no strings")
    if len(table) > MOST_ARRAYS:
        fault(f"it has {len(table)} arrays, and {MOST_ARRAYS} is the most")
    rows = sorted(
        (_row(name, entry, place) for name, entry in table.items()), key=lambda row: (row.start, row.stop)
    )
    data = memoryview(content)[8 + length :]
    end = 0
    for row in rows:
        if row.start != end:
            fault(f"the array {row.name!r:.60} begins at byte {row.start}, and the one before ends at {end}")
        end = row.stop
    if end != len(data):
        fault(f"its arrays have {end} bytes, and it has {len(data)} for them")
    arrays = {row.name: row.array(data, place) for row in rows}
    return Container(place, metadata, _with_complex(arrays, metadata, place), header)


def is_container(start: bytes) -> bool:
    """Whether a file begins with these bytes as one of arrays does, and as no text does."""
    return len(start) >= 9 and start[7] == 0 and start[8:9] == b"{"


# Headers


@dataclass(frozen=True, slots=True)
class _Row:
    """An array as the header tells of it."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    stop: int

    def array(self, data: memoryview, place: str) -> Array:
        array = np.frombuffer(data[self.start : self.stop], self.dtype).reshape(self.shape)
        array.setflags(write=False)
        if self.dtype == np.bool_ and array.size and array.view("u1").max() > 1:
            raise FileError(
                f"{place}: the array {self.name!r:.60} is of bool, and has other bytes than 0 and 1"
            )
        return array


def _row(name: str, entry: Any, place: str) -> _Row:
    what = f"{place}: the array {name!r:.60}"
    match entry:
        case {"dtype": str(tag), "shape": list(shape), "data_offsets": [start, stop]} if len(entry) == 3:
            pass
        case _:
            raise FileError(f"{what} has not just a dtype, a shape and two offsets")
    dtype = _DTYPES.get(tag)
    if dtype is None:
        raise FileError(f"{what} is of {tag!r:.20}; there are {', '.join(_DTYPES)}")
    if len(shape) > MOST_AXES:
        raise FileError(f"{what} has {len(shape)} axes, and {MOST_AXES} is the most")
    if not all(type(size) is int and size >= 0 for size in (*shape, start, stop)):
        raise FileError(f"{what} has a size or an offset that is no int of 0 or more")
    if math.prod(size for size in shape if size) * dtype.itemsize >= 2**62:
        raise FileError(f"{what} has more elements than there can be")
    size = math.prod(shape) * dtype.itemsize
    if stop - start != size:
        raise FileError(f"{what} needs {size} bytes, and has {stop - start}")
    return _Row(name, dtype, tuple(shape), start, stop)


def _header(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """The beginning of a file, up to the bytes of its arrays, which are aligned."""
    pairs = sorted(name for name, array in arrays.items() if array.dtype == _COMPLEX128)
    metadata = dict(metadata) | ({"complex128": json.dumps(pairs)} if pairs else {})
    table: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    at = 0
    for name, array in arrays.items():
        stored = _stored(array)
        place = [at, at := at + stored.nbytes]
        table[name] = {"dtype": _NAMES[stored.dtype], "shape": list(stored.shape), "data_offsets": place}
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNED)
    return len(text).to_bytes(8, "little") + text


def is_canonical(container: Container) -> bool:
    """Whether the header is to the byte the one that ``write`` gives such a file; then all arrays are aligned."""
    metadata = {key: value for key, value in container.metadata.items() if key != "complex128"}
    in_order = list(container.arrays) == _order(container.arrays)
    return in_order and container.header == _header(container.arrays, metadata)


def _order(arrays: Mapping[str, Array]) -> list[str]:
    """The names as they come in a file: those of arrays of larger elements first."""
    return sorted(arrays, key=lambda name: (-_stored(arrays[name]).dtype.alignment, name))


def _stored(array: Array) -> Array:
    """The array as safetensors can name it."""
    if array.dtype == _COMPLEX128:
        return array.reshape(-1).view("f8").reshape(*array.shape, 2)
    return array


def _bytes(array: Array) -> memoryview:
    assert array.flags.c_contiguous and array.dtype.isnative
    return array.reshape(-1).view("u1").data if array.size else memoryview(b"")


def _with_complex(arrays: dict[str, Array], metadata: Mapping[str, str], place: str) -> dict[str, Array]:
    """The arrays, with those that are pairs of float64 as what they stand for."""
    if "complex128" not in metadata:
        return arrays
    names = _names(metadata["complex128"], place)
    for name in names:
        array = arrays.get(name)
        if array is None or array.dtype != np.float64 or array.shape[-1:] != (2,):
            raise FileError(
                f"{place}: {name!r:.60} is said to be complex128, and is no array of pairs of float64"
            )
    return arrays | {
        name: arrays[name].reshape(-1).view("c16").reshape(arrays[name].shape[:-1]) for name in names
    }


def _names(text: str, place: str) -> list[str]:
    names = parse_json(b'{"":' + text.encode(errors="replace") + b"}", place, "list of complex arrays").get(
        ""
    )
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FileError(f"{place}: its list of complex arrays is no list of names")
    return names


# JSON


def parse_json(text: bytes, place: str, what: str) -> dict[str, Any]:
    """A JSON object of strings, ints of 64 bits, True, False, None, lists and objects.

    Raises FileError for anything else: floats, names that are there twice, more than a program needs.
    """
    try:
        if len(text) > LONGEST_HEADER or _marks(text) > MOST_MARKS:
            raise ValueError("it is too long")
        found = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_int,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
        if not isinstance(found, dict):
            raise ValueError("it is no object")
    except (ValueError, RecursionError) as error:
        why = "it is too deeply nested" if isinstance(error, RecursionError) else f"{error!s:.120}"
        raise FileError(f"{place}: its {what} is no JSON as it should be: {why}") from None
    return found


def _marks(text: bytes) -> int:
    return sum(text.count(mark) for mark in (b"{", b"[", b",", b":"))


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice!r:.60} is there twice")
    if not all(map(_is_text, found)):
        raise ValueError("a name is no Unicode text")
    return found


def _int(text: str) -> int:
    if len(text) > LONGEST_INT:
        raise ValueError(f"{text[:30]} is too large")
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text[:30]} is no int")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _need_little_endian(place: str) -> None:
    if sys.byteorder != "little":
        raise FileError(f"{place}: arrays are stored with their low bytes first, which this machine has last")
