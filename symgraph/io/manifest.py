"""What a native file says of its programs beside their text: a JSON object, read without trust."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from symgraph.errors import FileError
from symgraph.io.container import parse_json

FORMAT = 1
OP_VERSIONS: Mapping[str, int] = {}
"""The versions of ops whose meaning has changed since the first; all others have version 1."""
MANIFEST = "manifest"
"""The name of the array that the manifest is."""
MOST_LEVELS = 50
"""Of tuples, lists and dicts inside each other, among outputs."""
NODE = "node"
"""What stands for a result in a structure of outputs."""


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """One function: the array with its text, and how it is called."""

    title: str
    """Its own name, which messages have."""
    program: str
    arguments: tuple[str, ...]
    donated: tuple[int, ...]
    defaults: Mapping[str, str]
    """Arrays by the position of their arguments."""
    variables: Mapping[str, str]
    """Which variable each name in the text is."""
    outputs: Any


@dataclass(frozen=True, slots=True)
class VariableRow:
    """One variable, and the array of its value."""

    name: str
    trainable: bool
    value: str


@dataclass(frozen=True, slots=True)
class DefaultsRow:
    """What variables become after calls that read them: the outputs of a program, one for each of ``updated``."""

    program: str
    variables: Mapping[str, str]
    updated: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that a file says of its arrays."""

    single: bool
    """Whether one function was saved, and no dict of functions."""
    functions: Mapping[str, FunctionRow]
    variables: Mapping[str, VariableRow]
    default_updates: DefaultsRow | None
    ops: Mapping[str, int]
    """The versions of symgraph's ops that occur."""
    own_ops: tuple[str, ...]
    """The user's own ops that occur."""
    checksums: Mapping[str, str]
    """Of all arrays but the manifest."""


def to_json(manifest: Manifest) -> bytes:
    """The same bytes for the same manifest."""
    return json.dumps(asdict(manifest), sort_keys=False, indent=1).encode()


def from_json(text: bytes, place: str) -> Manifest:
    """The manifest that the text says. Raises FileError."""
    top = _Fields(parse_json(text, place, "manifest"), place)
    defaults = top.value("default_updates")
    made = Manifest(
        top.flag("single"),
        {name: _function(row) for name, row in top.rows("functions")},
        {key: _variable(row) for key, row in top.rows("variables")},
        None if defaults is None else _defaults(_Fields(defaults, place)),
        top.table("ops", int),
        top.texts("own_ops"),
        top.table("checksums", str),
    )
    top.done()
    if not made.functions or (made.single and len(made.functions) != 1):
        top.refuse("functions", "one function, or several with names")
    return made


def uses(manifest: Manifest) -> Iterator[str]:
    """The arrays that are read as programs, defaults and values of variables."""
    for row in manifest.functions.values():
        yield row.program
        yield from row.defaults.values()
    for variable in manifest.variables.values():
        yield variable.value
    if manifest.default_updates is not None:
        yield manifest.default_updates.program


def _function(row: _Fields) -> FunctionRow:
    made = FunctionRow(
        row.text("title"),
        row.text("program"),
        row.texts("arguments"),
        row.ints("donated"),
        row.table("defaults", str),
        row.table("variables", str),
        row.value("outputs"),
    )
    count = len(made.arguments)
    positions = {str(i) for i in range(count)}
    if not made.defaults.keys() <= positions or not positions.issuperset(map(str, made.donated)):
        row.refuse("defaults or donated", "positions of arguments")
    if len(set(made.donated)) < len(made.donated):
        row.refuse("donated", "positions that differ")
    row.done()
    return made


def _variable(row: _Fields) -> VariableRow:
    made = VariableRow(row.text("name"), row.flag("trainable"), row.text("value"))
    row.done()
    return made


def _defaults(row: _Fields) -> DefaultsRow:
    made = DefaultsRow(row.text("program"), row.table("variables", str), row.texts("updated"))
    row.done()
    return made


@dataclass(slots=True)
class _Fields:
    """An object of JSON, whose fields are taken one by one."""

    left: Any
    place: str

    def __post_init__(self) -> None:
        if not isinstance(self.left, dict):
            raise FileError(
                f"{self.place}: its manifest has a {type(self.left).__name__} where a table should be"
            )

    def value(self, key: str) -> Any:
        if key not in self.left:
            raise FileError(f"{self.place}: its manifest has no {key!r} where one should be")
        return self.left.pop(key)

    def text(self, key: str) -> str:
        return self._checked(key, self.value(key), str, "a string")  # type: ignore[no-any-return]

    def flag(self, key: str) -> bool:
        return self._checked(key, self.value(key), bool, "true or false")  # type: ignore[no-any-return]

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self._checked(key, each, str, "strings") for each in self._list(key))

    def ints(self, key: str) -> tuple[int, ...]:
        return tuple(self._checked(key, each, int, "ints") for each in self._list(key))

    def table(self, key: str, kind: type[Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._checked(key, self.value(key), dict, "a table")
        return {
            name: self._checked(key, each, kind, f"a table of {kind.__name__}")
            for name, each in found.items()
        }

    def rows(self, key: str) -> Iterator[tuple[str, _Fields]]:
        found: dict[str, Any] = self._checked(key, self.value(key), dict, "a table")
        for name, row in found.items():
            yield name, _Fields(row, self.place)

    def done(self) -> None:
        """Refuse what nobody has taken."""
        if self.left:
            raise FileError(f"{self.place}: its manifest has the unknown field {next(iter(self.left))!r:.60}")

    def refuse(self, key: str, expected: str) -> NoReturn:
        raise FileError(f"{self.place}: in its manifest {key} should be {expected}")

    def _list(self, key: str) -> list[Any]:
        return self._checked(key, self.value(key), list, "a list")  # type: ignore[no-any-return]

    def _checked(self, key: str, value: Any, kind: type[Any], expected: str) -> Any:
        if type(value) is not kind or (kind is str and not _is_text(value)):
            self.refuse(key, expected)
        return value


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


# Structures of outputs


def spell_structure(part: Any, is_leaf: Callable[[Any], bool], place: str, level: int = 0) -> Any:
    """Tuples, lists and dicts, nested, as JSON: ``{"tuple": ["node", null]}``.

    Raises FileError for classes that no file can name, and keys that are no strings, ints, bools or None.
    """
    if part is None:
        return None
    if is_leaf(part):
        return NODE
    if level >= MOST_LEVELS:
        raise FileError(f"{place}: the outputs are nested more than {MOST_LEVELS} times")
    if type(part) in (tuple, list):
        return {type(part).__name__: [spell_structure(each, is_leaf, place, level + 1) for each in part]}
    if type(part) is not dict:
        text = f"a {type(part).__name__} is among the outputs, and a file has tuples, lists and dicts alone"
        raise FileError(f"{place}: {text}")
    for key in part:
        if not _is_key(key):
            raise FileError(
                f"{place}: {key!r:.60} is a key among the outputs; a file has strings, ints, bools and None"
            )
    return {"dict": [[key, spell_structure(each, is_leaf, place, level + 1)] for key, each in part.items()]}


def read_structure(spelled: Any, leaves: Iterator[Any], place: str, level: int = 0) -> Any:
    """The structure with these leaves. Raises FileError, also where there are too few."""
    if level > MOST_LEVELS:
        raise FileError(f"{place}: the outputs are nested more than {MOST_LEVELS} times")
    match spelled:
        case None:
            return None
        case str() if spelled == NODE:
            try:
                return next(leaves)
            except StopIteration:
                raise FileError(
                    f"{place}: the outputs have more places than the program has results"
                ) from None
        case {"tuple": list(parts)} if len(spelled) == 1:
            return tuple([read_structure(part, leaves, place, level + 1) for part in parts])
        case {"list": list(parts)} if len(spelled) == 1:
            return [read_structure(part, leaves, place, level + 1) for part in parts]
        case {"dict": list(pairs)} if len(spelled) == 1:
            made: dict[Any, Any] = {}
            for pair in pairs:
                if not (isinstance(pair, list) and len(pair) == 2 and _is_key(pair[0])) or pair[0] in made:
                    raise FileError(
                        f"{place}: among the outputs a dict has something that is no new key and its value"
                    )
                made[pair[0]] = read_structure(pair[1], leaves, place, level + 1)
            return made
    raise FileError(f"{place}: among the outputs is a {type(spelled).__name__} that says nothing")


def _is_key(key: Any) -> bool:
    if type(key) is str:
        return _is_text(key)
    return key is None or type(key) is bool or (type(key) is int and -(2**63) <= key < 2**63)
