"""Wrong programs: each gives one error, whose message is kept beside it and quotes the program's own line.

``pytest --update`` rewrites the messages; the diff is read like code.
"""

import gc
import re
import traceback
from pathlib import Path

import pytest

import symgraph as sg

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))


def error_of(program):
    """The error that running the program ends in; no node of an earlier program lives on to lend it a line."""
    gc.collect()
    code = compile(program.read_text(), str(program), "exec")
    try:
        exec(code, {"__name__": "program"})
    except Exception as error:
        return error
    pytest.fail(f"{program.name} runs without an error")


def told(error):
    """The message, without what differs from run to run or ends a line."""
    text = re.sub(r"0x[0-9a-f]{6,}", "0x…", f"{type(error).__name__}: {error}")
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def test_there_are_sixty_programs():
    assert len(PROGRAMS) >= 60


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_message(program, update):
    error = error_of(program)
    golden = program.with_suffix(".txt")
    if update:
        golden.write_text(told(error))

    assert isinstance(error, sg.SymgraphError), "".join(traceback.format_exception(error))
    assert golden.read_text() == told(error)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_message_quotes_the_line_that_failed(program):
    error = error_of(program)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(program)]
    if isinstance(error, sg.ParseError):  # its lines are those of the text
        quoted = str(error).splitlines()[-1].strip()
        assert quoted in program.read_text()
        return

    assert re.search(rf"{program.name}:{frames[-1].lineno}\b", str(error)), str(error)
