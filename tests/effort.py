"""How much work a call is, counted: a shared machine's clock says other things."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")


def measured(work: Callable[[], Result]) -> tuple[Result, int]:
    """``work()``, and how many lines of Python ran in it; what C code does in between is not seen."""
    count = 0

    def seen(_frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return seen

    before = sys.gettrace()
    sys.settrace(seen)
    try:
        result = work()
    finally:
        sys.settrace(before)
    return result, count


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of Python run in ``work()``."""
    return measured(work)[1]
