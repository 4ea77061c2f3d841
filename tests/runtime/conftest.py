"""What the tests of the device "cuda" share."""

import sys

import pytest

import symgraph as sg
from symgraph.runtime import cuda, devices, nvrtc
from symgraph.runtime.cuda import Cuda
from tests.runtime.cupy_stand_in import extras, stand_in


@pytest.fixture
def cupy(monkeypatch):
    found = stand_in()
    for name, module in extras().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(cuda, "cupy", found)
    monkeypatch.setattr("symgraph.runtime.cubins.folder", lambda: None)
    monkeypatch.setattr(nvrtc, "available", lambda: True)
    monkeypatch.setattr(nvrtc, "version", lambda: "NVRTC of the tests")
    monkeypatch.setattr(nvrtc, "architectures", lambda: (75, 80, 90))
    monkeypatch.setattr(nvrtc, "compiled", lambda text, architecture: text.encode())
    return found


@pytest.fixture
def device(cupy):
    return Cuda()


@pytest.fixture
def on_gpu(cupy):
    """Functions on the device, as users have them."""
    devices._device.cache_clear()
    yield lambda *args, **kwargs: sg.function(*args, **kwargs, options=sg.Options(device="cuda"))
    devices._device.cache_clear()
