"""The same expression said otherwise, by drawn choices that change no bit of it."""

import symgraph as sg
from symgraph.graph.op import PLACEHOLDER
from symgraph.graph.walk import toposort, transform
from symgraph.ops.arithmetic import multiply, negative, subtract
from symgraph.ops.transcendental import pow


def respelt(root, rng):
    """The node with operands commuted, differences as sums, and squares as powers or products."""

    def change(node):
        inputs = node.inputs
        if node.op is subtract.op and rng.integers(2):
            a, b = inputs
            return [-b + a, a + (-b), -(b) + a][rng.integers(3)]
        if node.op is multiply.op and inputs[0] is inputs[1] and rng.integers(2):
            return sg.square(inputs[0])
        if node.op is pow.op and rng.integers(2):
            return inputs[0] * inputs[0]
        if node.op is negative.op and rng.integers(2):
            return -1 * inputs[0]
        if node.op.commutative and rng.integers(2):
            return node.op(*inputs[::-1])
        return node

    return transform([root], change)[0]


def intermediates(root):
    """The nodes between the inputs and the root."""
    return [
        node for node in toposort([root]) if node.op is not PLACEHOLDER and node is not root and node.inputs
    ]
