"""Libraries made ahead of time: a compiled function as machine code that C calls, and that needs nobody else.

>>> library = sg.aot.build(predict, "predict/")  # doctest: +SKIP
>>> library.header  # doctest: +SKIP
PosixPath('predict/predict.h')
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from symgraph.aot.library import Library, build

__all__ = ["Library", "build"]


def __getattr__(name: str) -> _Any:
    """What LLVM is needed for is imported when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module("symgraph.aot.library"), name)
