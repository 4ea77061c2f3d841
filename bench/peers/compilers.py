"""symgraph, and two compilers of whole programs with gradients: JAX and PyTensor."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from peers.peer import Array, Names, Ready, names, split, stepping


class Symgraph:
    """NumPy arrays in and out of ``sg.function``; what stays between calls are variables."""

    def __init__(self, threads: int) -> None:
        self._sg = importlib.import_module("symgraph")
        self.version = self._sg.__version__

    def ready(self, workload: Any, arrays: Mapping[str, Array]) -> Ready:
        sg = self._sg
        nodes = {
            name: sg.variable(array, name=name)
            if name in workload.weights
            else sg.placeholder(str(array.dtype), workload.inputs[name].shape, name=name)
            for name, array in arrays.items()
        }
        weights, data = split(workload, nodes)
        results = workload.program(self.names, *nodes.values())
        if not workload.updates:
            return Ready(sg.function(data, results), split(workload, arrays)[1])
        result, new = results
        compiled = sg.function(data, result, updates=dict(zip(weights, new, strict=True)))
        return Ready(compiled, split(workload, arrays)[1], state=lambda: [w.value for w in weights])

    def settle(self) -> None:
        """Better code takes the place of the first, once a function has been called some times."""
        importlib.import_module("symgraph.runtime.code").code().settle()

    @cached_property
    def names(self) -> Names:
        sg = self._sg

        def value_and_grad(model: Any, parameters: Any, *data: Any) -> Any:
            loss = model.loss(m, parameters, *data)
            return loss, sg.grad(loss, list(parameters))

        m = names(
            sg,
            logsumexp=lambda x: sg.logsumexp(x, axis=-1, keepdims=True),
            mean_cross_entropy=lambda x, t: sg.cross_entropy(x, t).mean(),
            value_and_grad=value_and_grad,
        )
        return m


class Jax:
    """``jax.jit`` on arrays that are on its device; weights that are updated are donated."""

    def __init__(self, threads: int) -> None:
        self._jax = importlib.import_module("jax")
        self._jax.config.update("jax_enable_x64", True)
        self._jax.numpy.zeros(1).block_until_ready()  # its device
        self.version = self._jax.__version__

    def ready(self, workload: Any, arrays: Mapping[str, Array]) -> Ready:
        jax, m = self._jax, self.names
        given = {name: jax.numpy.array(x) for name, x in arrays.items()}
        if not workload.updates:
            compiled = jax.jit(lambda *given: workload.program(m, *given))
            return Ready(compiled, list(given.values()), wait=jax.block_until_ready)
        weights, data = split(workload, given)
        step = jax.jit(lambda weights, *data: workload.program(m, *weights, *data), donate_argnums=0)
        call, kept = stepping(step, weights)

        def wait(result: Any) -> Any:
            jax.block_until_ready(kept)
            return result

        return Ready(call, data, wait, state=lambda: [*map(_array, kept)])

    def settle(self) -> None: ...

    @cached_property
    def names(self) -> Names:
        jax = self._jax

        def mean_cross_entropy(x: Any, t: Any) -> Any:
            picked = jax.numpy.take_along_axis(x, t[:, None], axis=-1)[:, 0]
            return (jax.nn.logsumexp(x, axis=-1) - picked).mean()

        def value_and_grad(model: Any, parameters: Any, *data: Any) -> Any:
            return jax.value_and_grad(lambda given: model.loss(m, given, *data))(tuple(parameters))

        m = names(
            jax.numpy,
            erf=jax.scipy.special.erf,
            gelu_erf=lambda x: jax.nn.gelu(x, approximate=False),
            gelu_tanh=lambda x: jax.nn.gelu(x, approximate=True),
            logsumexp=lambda x: jax.nn.logsumexp(x, axis=-1, keepdims=True),
            mean_cross_entropy=mean_cross_entropy,
            ndtr=jax.scipy.special.ndtr,
            relu=jax.nn.relu,
            sigmoid=jax.nn.sigmoid,
            softmax=jax.nn.softmax,
            softplus=jax.nn.softplus,
            value_and_grad=value_and_grad,
        )
        return m


class PyTensor:
    """``pytensor.function`` of its default mode, whose arguments are trusted and whose results are lent."""

    def __init__(self, threads: int) -> None:
        self._pytensor = importlib.import_module("pytensor")
        self._tensor = importlib.import_module("pytensor.tensor")
        importlib.import_module("pytensor.tensor.special")
        importlib.import_module("pytensor.link.numba.dispatch")  # what its first function would import
        self.version = self._pytensor.__version__

    def ready(self, workload: Any, arrays: Mapping[str, Array]) -> Ready:
        pytensor, pt = self._pytensor, self._tensor
        pytensor.config.floatX = str(workload.dtype)  # of numbers in a program
        nodes = {}
        for name, array in arrays.items():
            if name in workload.weights:
                nodes[name] = pytensor.shared(array, name=name, borrow=False)
            else:
                sizes = [size if isinstance(size, int) else None for size in workload.inputs[name].shape]
                nodes[name] = pt.tensor(name, dtype=str(array.dtype), shape=tuple(sizes))
        weights, data = split(workload, nodes)
        given = split(workload, arrays)[1]
        results = workload.program(self.names, *nodes.values())
        if not workload.updates:
            compiled = pytensor.function(data, _lent(pytensor, results))
            compiled.trust_input = True
            return Ready(compiled, given)
        result, new = results
        updates = list(zip(weights, new, strict=True))
        compiled = pytensor.function(data, _lent(pytensor, result), updates=updates)
        compiled.trust_input = True
        return Ready(compiled, given, state=lambda: [w.get_value() for w in weights])

    def settle(self) -> None: ...

    @cached_property
    def names(self) -> Names:
        pytensor, pt = self._pytensor, self._tensor

        def mean_cross_entropy(x: Any, t: Any) -> Any:
            picked = pt.special.log_softmax(x, axis=-1)[pt.arange(x.shape[0]), t]
            return -picked.mean()

        def value_and_grad(model: Any, parameters: Any, *data: Any) -> Any:
            loss = model.loss(m, parameters, *data)
            return loss, pytensor.grad(loss, list(parameters))

        m = names(
            pt,
            logsumexp=lambda x: pt.logsumexp(x, axis=-1, keepdims=True),
            mean_cross_entropy=mean_cross_entropy,
            ndtr=lambda x: 0.5 * pt.erfc(x * -0.7071067811865476),
            softmax=lambda x: pt.special.softmax(x, axis=-1),
            value_and_grad=value_and_grad,
            where=pt.where,
        )
        return m


def _lent(pytensor: Any, results: Any) -> Any:
    if results is None:
        return []
    if isinstance(results, list | tuple):
        return [pytensor.Out(x, borrow=True) for x in results]
    return pytensor.Out(results, borrow=True)


def _array(x: Any) -> Array:
    return x.__array__()  # type: ignore[no-any-return]
