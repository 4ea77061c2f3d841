"""A call whose gradient computes again what the call has computed on its way."""

from __future__ import annotations

from symgraph.graph.op import Op, register
from symgraph.ops.custom import CALL, CallAttrs

CHECKPOINT = register(Op("checkpoint", infer=CALL.infer, body=CALL.body, vjp=CALL.vjp, attrs=CallAttrs))
"""Unlike that of a ``CALL``, the gradient is the derivative of the body; forward mode may look into either."""
