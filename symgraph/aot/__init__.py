"""Libraries made ahead of time: a compiled function as machine code that C calls, and that needs nobody else.

>>> library = sg.aot.build(predict, "predict/")  # doctest: +SKIP
>>> library.header  # doctest: +SKIP
PosixPath('predict/predict.h')
"""

from symgraph.aot.build import Library, build

__all__ = ["Library", "build"]
