"""The onnx package, and what its messages hold: models, tensors, attributes, types."""

from __future__ import annotations

import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, FileError
from symgraph.graph.types import DType, dtype
from symgraph.io.onnx_table import Refused

Array = np.ndarray[Any, Any]


def package() -> Any:
    """The onnx package; raises FileError where it is not installed."""
    try:
        import onnx
        import onnx.defs
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        text = f"ONNX files need the onnx package ({error}): pip install 'symgraph-compiler[onnx]'"
        raise FileError(text) from None
    return onnx


class Source:
    """A model, what it is called in errors, and the folder that its external data may lie in."""

    def __init__(self, given: Any) -> None:
        onnx = package()
        self.folder: Path | None = None
        self.name = "<model>"
        if isinstance(given, onnx.ModelProto):
            self.model = given
            return
        content = bytes(given) if isinstance(given, (bytes, bytearray, memoryview)) else self._read(given)
        try:
            self.model = onnx.ModelProto.FromString(content)
        except Exception as error:  # protobuf raises several kinds
            raise self.error(f"is no ONNX model: {error}") from None
        if not self.model.HasField("graph"):
            raise self.error("is no ONNX model: it has no graph")
        graph = self.model.graph
        named = [each.name for each in (*graph.input, *graph.output)]
        named += [dim.dim_param for each in graph.input for dim in each.type.tensor_type.shape.dim]
        for name in named:
            if not isinstance(name, str):  # protobuf hands out bytes where they are no text
                raise self.error(f"has the name {name!r}, which is no text")

    def _read(self, path: str | os.PathLike[str]) -> bytes:
        if not isinstance(path, str | os.PathLike):
            raise ArgumentError(f"a model is a path, bytes or a ModelProto, not {path!r}")
        self.name = os.fspath(path)
        self.folder = Path(path).parent
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise self.error(f"cannot be read: {error.strerror or error}") from None

    def error(self, fault: str) -> FileError:
        return FileError(f"{self.name}: {fault}")

    def array(self, tensor: Any, what: str) -> Array:
        """The array of a tensor; raises FileError where its bytes are missing, too few, or lie elsewhere."""
        onnx = package()
        shape = tuple(int(size) for size in tensor.dims)
        if any(size < 0 for size in shape):
            raise self.error(f"{what} has the sizes {shape}")
        row = self.row(tensor.data_type, what)
        if len(shape) > MOST_AXES or prod(max(size, 1) for size in shape) > _MOST_ELEMENTS:
            raise self.error(f"{what} has {len(shape)} axes of the sizes {str(shape)[:60]}")
        if tensor.HasField("data_location") and tensor.data_location == onnx.TensorProto.EXTERNAL:
            return self._external(tensor, shape, row, what)
        wanted = prod(shape) * row.numpy.itemsize
        if tensor.HasField("raw_data"):
            if len(tensor.raw_data) != wanted:
                text = f"{what} of shape {shape} has {len(tensor.raw_data)} bytes and needs {wanted}"
                raise self.error(text)
            return _little(tensor.raw_data, row).reshape(shape)
        counts = [len(getattr(tensor, field)) for field in _FIELDS]
        if sum(counts) != prod(shape) * (2 if row.is_complex else 1):
            raise self.error(f"{what} of shape {shape} has {sum(counts)} elements")
        try:
            return np.asarray(onnx.numpy_helper.to_array(tensor), row.numpy)
        except Exception as error:  # whatever onnx raises for a tensor that contradicts itself
            raise self.error(f"{what} cannot be read: {error}") from None

    def _external(self, tensor: Any, shape: tuple[int, ...], row: DType, what: str) -> Array:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if self.folder is None:
            raise self.error(
                f"{what} lies in the file {location!r}, and the model has no folder: load its path"
            )
        home = self.folder.resolve()
        if not isinstance(location, str) or "\0" in location:
            raise self.error(f"{what} lies in {location!r}, which is no name of a file")
        path = (home / location).resolve()
        if not location or Path(location).is_absolute() or home not in path.parents:
            raise self.error(f"{what} lies in {location!r}, outside the model's folder")
        wanted = prod(shape) * row.numpy.itemsize
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", wanted))
        except ValueError:
            raise self.error(f"{what} has external data at {entries}") from None
        if length != wanted or offset < 0:
            raise self.error(f"{what} of shape {shape} needs {wanted} bytes and has {length} at {offset}")
        try:
            if path.stat().st_size < offset + length:
                raise self.error(
                    f"{what} needs bytes {offset} to {offset + length} of {location!r}, which is shorter"
                )
            with path.open("rb") as file:
                file.seek(offset)
                return _little(file.read(length), row).reshape(shape)
        except FileError:
            raise
        except (OSError, ValueError) as error:
            raise self.error(f"{what} lies in {location!r}, which cannot be read: {error}") from None

    def row(self, number: int, what: str) -> DType:
        """The dtype that has this number in ONNX; raises Refused for one that symgraph does not have."""
        row = dtype_of(number)
        if row is None:
            raise Refused(f"{what} is of the type {type_name(number)}, which symgraph does not have")
        return row


MOST_AXES, _MOST_ELEMENTS = 64, 1 << 60
"""Of an array, as NumPy has them; sizes of 0 count as 1."""
_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")


def _little(content: bytes, row: DType) -> Array:
    array = np.frombuffer(content, row.numpy.newbyteorder("<") if row.numpy.kind != "V" else row.numpy)
    return array.astype(row.numpy, copy=False)


def dtype_of(number: int) -> DType | None:
    """The row of a dtype that ONNX gives a number, or None where symgraph has none."""
    try:
        return dtype(package().helper.tensor_dtype_to_np_dtype(number))
    except (KeyError, TypeError, ValueError, DTypeError):
        return None


def number_of(row: DType) -> int:
    """ONNX's number of a dtype."""
    return int(package().helper.np_dtype_to_tensor_dtype(row.numpy))


def type_name(number: int) -> str:
    """What ONNX calls the dtype with this number."""
    try:
        return str(package().TensorProto.DataType.Name(number)).lower()
    except ValueError:
        return f"number {number}"


def attributes(node: Any, outer: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a node as Python values, tensors and graphs as messages.

    ``outer`` has those of the call whose function the node is in, which some refer to; one that the call leaves out is
    left out here.
    """
    onnx = package()
    found = {}
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name in outer:
                found[attribute.name] = outer[attribute.ref_attr_name]
            continue
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif attribute.type == onnx.AttributeProto.STRINGS:
            value = tuple(text.decode("utf-8", "replace") for text in value)
        elif isinstance(value, (list, tuple)) or type(value).__name__.startswith("Repeated"):
            value = tuple(value)
        found[attribute.name] = value
    return found
