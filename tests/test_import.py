"""What importing symgraph brings along."""

import subprocess
import sys

OPTIONAL_OR_SLOW = {"cupy", "onnx", "llvmlite", "networkx", "scipy", "safetensors", "tqdm", "torch", "jax"}


def test_import_pulls_in_nothing_slow_or_optional():
    code = "import sys, symgraph; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert "symgraph" in loaded
    assert not OPTIONAL_OR_SLOW & set(loaded)
