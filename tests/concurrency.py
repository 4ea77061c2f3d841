"""Functions at the same time."""

import threading
from collections.abc import Callable


def together(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own, and wait for all."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
