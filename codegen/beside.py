"""Files of the package that are no modules."""

from __future__ import annotations

import os
from typing import Any


def text_beside(module: str, name: str) -> str:
    """What a file says that lies beside a module's, wherever the package lies: ``text_beside(__file__, "some.ll")``."""
    loader: Any = __spec__.loader
    content: bytes = loader.get_data(os.path.join(os.path.dirname(module), name))
    return content.decode()
