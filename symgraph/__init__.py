"""Array programs, compiled: write NumPy-like expressions, differentiate them, run them as one whole.

>>> import symgraph as sg
"""

import os.path as _path

__version__ = "0.1.0"

_home = _path.dirname(_path.abspath(__file__))
_root = _path.dirname(_home)
if not _path.isdir(_path.join(_home, "codegen")) and _path.isfile(_path.join(_root, "setup.cfg")):
    __path__.append(_root)  # a source tree without links: optimizations/ and codegen/ lie beside symgraph/
