"""Models in the ONNX format: ``load`` makes functions of them, ``save`` makes them of functions.

It needs the onnx package: ``pip install 'symgraph-compiler[onnx]'``.
"""

from symgraph.errors import Problem, UnsupportedOperator
from symgraph.io.onnx_export import save, to_proto
from symgraph.io.onnx_import import OnnxFunction, load
from symgraph.io.onnx_table import operators

__all__ = ["OnnxFunction", "Problem", "UnsupportedOperator", "load", "operators", "save", "to_proto"]
