"""What the signatures of ops speak of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from symgraph.errors import GradientError
from symgraph.graph.dims import Dim, Size
from symgraph.graph.node import Node
from symgraph.graph.types import DType

Array: TypeAlias = np.ndarray[Any, Any]
ArrayLike: TypeAlias = Node | Size | Array | np.generic | complex | Sequence[Any]
"""A node, or what NumPy makes an array of."""

AxisLike: TypeAlias = int | Sequence[int] | None
"""An axis, several, or all of them; negative ones count from the back."""

DTypeLike: TypeAlias = str | type | np.dtype[Any] | DType
ShapeLike: TypeAlias = Dim | str | Sequence[Dim | str]

Slope: TypeAlias = Node | int | GradientError
"""What a derivative says for an input: a node, 0 for no slope, or the error to raise."""

Slopes: TypeAlias = Slope | tuple[Slope, ...]
