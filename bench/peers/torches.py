"""PyTorch, an operation at a time, and compiled."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from peers.peer import Array, Names, Ready, names, split, stepping


class Eager:
    """Operations on tensors, recorded only where a gradient is asked for; the library's own optimizers, fused."""

    def __init__(self, threads: int) -> None:
        self._torch = importlib.import_module("torch")
        self._torch.set_num_threads(threads)
        self._torch.set_grad_enabled(False)
        self.version = self._torch.__version__

    def ready(self, workload: Any, arrays: Mapping[str, Array]) -> Ready:
        torch, m = self._torch, self.names
        given = {name: torch.from_numpy(x.copy()) for name, x in arrays.items()}
        if not workload.updates:
            return Ready(lambda *given: workload.program(m, *given), list(given.values()))
        weights, data = split(workload, given)
        if workload.training is not None:
            return self._training(workload.training, m, weights, data)
        call, kept = stepping(lambda weights, *data: workload.program(m, *weights, *data), weights)
        return Ready(call, data, state=lambda: [x.numpy() for x in kept])

    def settle(self) -> None: ...

    @cached_property
    def names(self) -> Names:
        return _names(self._torch, self._value_and_grad)

    def _training(self, training: Any, m: Names, weights: list[Any], data: list[Any]) -> Ready:
        torch = self._torch
        parameters = [x.requires_grad_() for x in weights[: training.model.parameters]]
        kind = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}[training.optimizer]
        optimizer = kind(parameters, lr=training.rate, fused=True)

        def step(*data: Any) -> Any:
            with torch.enable_grad():
                loss = training.model.loss(m, parameters, *data)
                loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss.detach()

        return Ready(step, data, state=lambda: [x.detach().numpy() for x in parameters])

    def _value_and_grad(self, m: Names, model: Any, parameters: Any, *data: Any) -> Any:
        parameters = [x.detach().requires_grad_() for x in parameters]
        with self._torch.enable_grad():
            loss = model.loss(m, parameters, *data)
        return loss.detach(), list(self._torch.autograd.grad(loss, parameters))


class Compiled:
    """``torch.compile`` of the whole program for one shape, with the gradient and the update inside."""

    def __init__(self, threads: int) -> None:
        self._torch = importlib.import_module("torch")
        self._torch.set_num_threads(threads)
        self._torch.set_grad_enabled(False)
        importlib.import_module("torch._inductor.compile_fx")  # what the first compilation would import
        self.version = self._torch.__version__

    def ready(self, workload: Any, arrays: Mapping[str, Array]) -> Ready:
        torch, m = self._torch, self.names
        program = workload.program
        torch._dynamo.reset()
        given = {name: torch.from_numpy(x.copy()) for name, x in arrays.items()}
        if not workload.updates:
            compiled = torch.compile(lambda *given: program(m, *given), dynamic=False, fullgraph=True)
            return Ready(compiled, list(given.values()))
        weights, data = split(workload, given)
        step = torch.compile(
            lambda weights, *data: program(m, *weights, *data), dynamic=False, fullgraph=True
        )
        call, kept = stepping(step, weights)
        return Ready(call, data, state=lambda: [x.numpy() for x in kept])

    def settle(self) -> None: ...

    @cached_property
    def names(self) -> Names:
        return _names(self._torch, self._value_and_grad)

    def _value_and_grad(self, m: Names, model: Any, parameters: Any, *data: Any) -> Any:
        slopes, loss = self._torch.func.grad_and_value(lambda given: model.loss(m, given, *data))(
            list(parameters)
        )
        return loss, slopes


def _names(torch: Any, value_and_grad: Callable[..., Any]) -> Names:
    functional = torch.nn.functional

    def maximum(x: Any, y: Any) -> Any:
        return torch.maximum(x, y) if isinstance(y, torch.Tensor) else torch.clamp(x, min=y)

    m = names(
        torch,
        gelu_erf=functional.gelu,
        gelu_tanh=lambda x: functional.gelu(x, approximate="tanh"),
        layer_norm=lambda x, scale, shift: functional.layer_norm(x, (x.shape[-1],), scale, shift),
        logsumexp=lambda x: torch.logsumexp(x, -1, keepdim=True),
        max=torch.amax,
        maximum=maximum,
        mean_cross_entropy=functional.cross_entropy,
        ndtr=torch.special.ndtr,
        rms_norm=lambda x, scale: functional.rms_norm(x, (x.shape[-1],), scale, 1e-6),
        softmax=lambda x: torch.softmax(x, -1),
        softplus=functional.softplus,
        value_and_grad=lambda *given: value_and_grad(m, *given),
        var=lambda x: torch.var(x, correction=0),
    )
    return m
