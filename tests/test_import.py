"""What importing symgraph brings along, and what a first function does.

Neither is timed: modules are counted, and dataclasses, whose methods are compiled anew in every process.
"""

import os
import subprocess
import sys

OPTIONAL_OR_SLOW = {"cupy", "onnx", "llvmlite", "networkx", "scipy", "safetensors", "tqdm", "torch", "jax"}
UNUSED = (
    *(
        "symgraph.aot",
        "symgraph.codegen.cuda",
        "symgraph.codegen.llvm_zeta",
        "symgraph.codegen.numpy_printer",
    ),
    *(
        "symgraph.debug",
        "symgraph.graph.parse",
        "symgraph.io",
        "symgraph.runtime.cuda",
        "symgraph.runtime.device",
    ),
    *(
        "symgraph.runtime.emulator",
        "symgraph.runtime.kernel",
        "symgraph.runtime.numpy",
        "symgraph.runtime.sim",
    ),
    *("fractions", "networkx", "scipy"),
)
"""How the names begin of what a program on this processor needs none of."""
LATER = (
    "symgraph.codegen",
    "symgraph.optimizations.passes",
    "symgraph.runtime.code",
    "symgraph.runtime.native",
)
"""And of what is only needed to compile."""
FIRST = """
import numpy as np
x = symgraph.placeholder("float32", ("n",), name="x")
y = symgraph.sum(symgraph.tanh(x) * 2)
symgraph.function([x], [y, symgraph.grad(y, x)])(np.ones(4, "float32"))
"""
COUNT = """
loaded = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "symgraph"}
classes = {each for module in loaded.values() for each in vars(module).values() if isinstance(each, type)}
ours = [each for each in classes if each.__module__ in loaded and "__dataclass_fields__" in vars(each)]
print(len(loaded), len(ours), *sys.modules)
"""


def loaded(code=""):
    """How many modules and dataclasses of symgraph's there are after some code, and the names of all modules."""
    modules, dataclasses, *names = subprocess.run(
        [sys.executable, "-c", f"import sys, symgraph\n{code}{COUNT}"],
        env={**os.environ, "SYMGRAPH_CACHE": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return int(modules), int(dataclasses), names


def test_import_pulls_in_nothing_slow_or_optional():
    modules, dataclasses, names = loaded()

    assert "symgraph" in names
    assert not OPTIONAL_OR_SLOW & {name.split(".")[0] for name in names}
    assert [] == [name for name in names if name.startswith((*UNUSED, *LATER))]
    assert modules < 130
    assert dataclasses < 75


def test_a_first_function_imports_what_it_needs_alone():
    modules, dataclasses, names = loaded(FIRST)

    assert "symgraph.runtime.native" in names
    assert [] == [name for name in names if name.startswith(UNUSED)]
    assert modules <= 280
    assert dataclasses < 110
