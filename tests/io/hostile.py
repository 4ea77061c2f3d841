"""Files that somebody or something has spoiled, drawn by a seed."""

import json
import random
import re

import numpy as np

from symgraph.io import container
from symgraph.io.container import checksum

HUGE = [-1, 2**31, 2**53, 2**62, 2**63 - 1, 2**64, 10**19, 10**30]


def spoiled(content, draw):
    """The bytes with something done to them that no writer does; never the same bytes."""
    while True:
        found = bytes(draw.choice(BYTES)(bytearray(content), draw))
        if found != content:
            return found


# Bytes


def flipped(data, draw):
    for _ in range(draw.choice([1, 1, 1, 2, 8])):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return data


def flipped_early(data, draw):
    data[draw.randrange(min(len(data), 400))] ^= 1 << draw.randrange(8)
    return data


def cut(data, draw):
    return data[: draw.randrange(len(data))]


def grown(data, draw):
    return data + bytes(draw.randrange(256) for _ in range(draw.choice([1, 8, 64, 5000])))


def zeroed(data, draw):
    start = draw.randrange(len(data))
    data[start : start + draw.choice([1, 8, 512])] = bytes(min(len(data) - start, draw.choice([1, 8, 512])))
    return data


def moved(data, draw):
    """A part of the file once more somewhere else, or gone."""
    a, b, at = (draw.randrange(len(data)) for _ in range(3))
    part = data[min(a, b) : max(a, b)]
    if draw.random() < 0.5:
        del data[min(a, b) : max(a, b)]
        return data
    return data[:at] + part + data[at + draw.choice([0, len(part)]) :]


def other_length(data, draw):
    """A header that would be longer or shorter."""
    length = int.from_bytes(data[:8], "little")
    length = draw.choice([0, 1, 7, length - 8, length + 8, len(data), len(data) - 8, 2**32, 2**63, 2**64 - 1])
    return bytearray((length % 2**64).to_bytes(8, "little")) + data[8:]


def other_file(data, draw):
    """What is no file of arrays: an archive, a pickle, a text, nothing."""
    starts = [
        b"",
        b"PK\x03\x04",
        b"\x80\x04\x95",
        b"\x93NUMPY",
        b"\x1f\x8b",
        b"def main(x: f32):\n    return x\n",
    ]
    return bytearray(draw.choice(starts)) + draw.choice([bytearray(), data, data[100:]])


def header_of(data):
    length = int.from_bytes(data[:8], "little")
    return data[8 : 8 + length].decode(), bytes(data[8 + length :])


def with_header(text, rest):
    head = text.encode() + b" " * (-len(text.encode()) % 8)
    return bytearray(len(head).to_bytes(8, "little") + head + rest)


def other_number(data, draw):
    """A number of the header that is huge, negative, no number, or another."""
    text, rest = header_of(data)
    places = [i for i, c in enumerate(text) if c.isdigit() and not text[i - 1].isdigit()]
    at = draw.choice(places)
    end = at
    while text[end : end + 1].isdigit():
        end += 1
    new = draw.choice(
        ["NaN", "Infinity", "1e999", "1.5", "-0", "true", "null", '"8"', "[8]", *map(str, HUGE), "9" * 5000]
    )
    return with_header(text[:at] + new + text[end:], rest)


def deep(data, draw):
    """A header with something nested too often."""
    text, rest = header_of(data)
    count = draw.choice([60, 5000, 200_000])
    inner = draw.choice(["[" * count + "]" * count, "[" * count, '{"a":' * count + "1" + "}" * count])
    return with_header(draw.choice([inner, text[:-1].rstrip(" }") + f',"x":{inner}}}}}']), rest)


def wide(data, draw):
    """A header of very many parts."""
    _, rest = header_of(data)
    count = draw.choice([60_000, 150_000])
    part = draw.choice(["[]", '"w"', "0", '{"":0}'])
    return with_header(
        draw.choice(
            [
                f'{{"x":[{",".join([part] * count)}]}}',
                "{" + ",".join([f'"{i}":{part}' for i in range(60_000)]) + "}",
            ]
        ),
        rest,
    )


def twice(data, draw):
    """A header that says a name two times."""
    text, rest = header_of(data)
    text = text.rstrip()
    names = [name for name in json.loads(text) if name != "__metadata__"]
    entry = json.dumps({draw.choice(names): json.loads(text)[draw.choice(names)]})[1:-1]
    return with_header(f"{text[:-1]},{entry}}}", rest)


def other_name(data, draw):
    """A name in the header that is a path, or odd in another way."""
    text, rest = header_of(data)
    table = json.loads(text)
    name = draw.choice(list(table))
    new = draw.choice(
        [
            "../../etc/passwd",
            "/etc/passwd",
            "C:\\x",
            "",
            "\0",
            "a" * 10_000,
            "\ud800",
            "__metadata__ ",
            "\u202e",
        ]
    )
    return with_header(json.dumps({new if key == name else key: value for key, value in table.items()}), rest)


BYTES = [
    flipped, flipped, flipped, flipped_early, flipped_early, cut, cut, grown, zeroed, moved, moved, other_length,
    other_file, other_number, other_number, deep, wide, twice, other_name,
]  # fmt: skip


# Files that are whole, and say what no program says


def resealed(content, draw):
    """A native file with right checksums, whose manifest, texts or arrays were changed."""
    opened = container.decode(content, "drawn")
    arrays = dict(opened.arrays)
    manifest = json.loads(arrays.pop("manifest").tobytes())
    for _ in range(draw.choice([1, 1, 2, 3])):
        draw.choice([other_manifest, other_text, other_text, other_text, other_array, other_arrays])(
            manifest, arrays, draw
        )
    if draw.random() < 0.95:
        manifest["checksums"] = {name: checksum(array) for name, array in sorted(arrays.items())}
    text = np.frombuffer(json.dumps(manifest).encode(), "u1")
    metadata = {**opened.metadata, "manifest": checksum(text)}
    return b"".join(container.encode({**arrays, "manifest": text}, metadata, "drawn"))


def other_manifest(manifest, arrays, draw):
    """Something in the manifest that is gone, another, or more."""
    part = manifest
    while True:
        if not isinstance(part, dict | list) or not part:
            return
        key = draw.choice(list(part) if isinstance(part, dict) else range(len(part)))
        if isinstance(part[key], dict | list) and part[key] and draw.random() < 0.8:
            part = part[key]
            continue
        break
    new = draw.choice(
        [None, True, "", "w", "node", "../../etc/passwd", {}, [], [[]], {"": 0}, 10**18, nested(draw)]
    )
    match draw.randrange(4):
        case 0:
            del part[key]
        case 1 if isinstance(part, dict):
            part[draw.choice(["x", "exp", "0", "node", "main"])] = new
        case 2:
            others = list(part.values()) if isinstance(part, dict) else part
            part[key] = draw.choice(others)
        case _:
            part[key] = new


def nested(draw):
    found = "node"
    for _ in range(draw.choice([40, 60, 300])):
        found = {draw.choice(["tuple", "list"]): [found]}
    return found


def other_text(manifest, arrays, draw):
    """A program with something replaced, doubled, moved or nested."""
    name = draw.choice(
        [name for name in arrays if name.startswith("program/") or name == "default updates"] or [None]
    )
    if name is None:
        return
    text = arrays[name].tobytes().decode(errors="replace")
    arrays[name] = np.frombuffer(draw.choice(TEXTS)(text, draw).encode(errors="replace"), "u1")


def tokens(text):
    return re.findall(r"\w+|\s+|.", text)


def other_token(text, draw):
    parts = tokens(text) or [""]
    for _ in range(draw.choice([1, 1, 2, 5])):
        i = draw.randrange(len(parts))
        new = draw.choice([*parts, *WORDS])
        parts[i] = new if draw.random() < 0.8 else ""
    return "".join(parts)


def other_line(text, draw):
    """Lines that are doubled, moved or gone, so that names come twice or before they are defined."""
    lines = text.split("\n")
    i, j = draw.randrange(len(lines)), draw.randrange(len(lines))
    match draw.randrange(3):
        case 0:
            lines.insert(j, lines[i])
        case 1:
            lines[i], lines[j] = lines[j], lines[i]
        case _:
            del lines[i]
    return "\n".join(lines)


def deep_text(text, draw):
    """Something that is nested or chained very often."""
    count = draw.choice([30, 150, 5000])
    chains = [
        ("(", "x", ")"),
        ("-", "1", ""),
        ("[", "", ""),
        ("", "x", ".a"),
        ("", "x", "[0]"),
        ("", "1", "+n"),
    ]
    chains += [("~", "x", ""), ("(n+m)*", "n", ""), ("lambda:", "0", "")]
    before, middle, after = draw.choice(chains)
    parts = tokens(text) or [""]
    parts[draw.randrange(len(parts))] = before * count + middle + after * count
    return "".join(parts)


def cyclic(text, draw):
    """A value that needs itself, or one below it."""
    names = re.findall(r"^ +(v\d+):", text, re.MULTILINE)
    if len(names) < 2:
        return text + text
    old, new = draw.choice(names), draw.choice(names)
    return re.sub(rf"(?<=[(, ]){old}\b(?!:)", new, text)


WORDS = [
    "nan",
    "inf",
    "-",
    "(",
    ")",
    "[",
    "]",
    ",",
    ":",
    "=",
    "*",
    "x",
    "w",
    "v0",
    "f32",
    "f64",
    "i64",
    "bool",
    "c128",
    "exp",
    "add",
    "matmul",
    "reshape",
    "broadcast_to",
    "iota",
    "scan",
    "cond",
    "update",
    "return",
    "def",
    "None",
    "True",
    "__import__",
    "eval",
    "shape",
    "axes",
    "bits",
    "data",
    "0",
    "-1",
    "1e309",
    "0x7f",
    "n",
    "@",
    "lambda",
    "#",
    "'",
    '"',
    "\\",
    "é",
]
WORDS += ["\n", "    ", "\0", "9" * 5000, *map(str, HUGE)]
TEXTS = [other_token, other_token, other_token, other_line, deep_text, cyclic]


def other_array(manifest, arrays, draw):
    """An array of another dtype or shape, or with other bytes."""
    name = draw.choice(list(arrays))
    array = arrays[name]
    match draw.randrange(4):
        case 0:
            arrays[name] = np.array(array.reshape(-1))
        case 1:
            arrays[name] = np.zeros(
                draw.choice([(), (0,), (3,), (2, 0), (1, 1, 1)]), draw.choice(["f4", "i8", "?", "c16", "u1"])
            )
        case 2:
            arrays[name] = np.array(array[..., :0]) if array.ndim else np.zeros((), array.dtype)
        case _:
            changed = np.array(array)
            if changed.size and changed.dtype != np.bool_:
                changed.reshape(-1).view("u1")[draw.randrange(changed.nbytes)] ^= 255
            arrays[name] = changed


def other_arrays(manifest, arrays, draw):
    """One array less, more, or two that have changed places."""
    a, b = draw.choice(list(arrays)), draw.choice(list(arrays))
    match draw.randrange(3):
        case 0:
            del arrays[a]
        case 1:
            arrays[draw.choice(["x", "constant/0", "program/x", "variable/x", "../x"])] = arrays[b]
        case _:
            arrays[a], arrays[b] = arrays[b], arrays[a]


def generator(seed):
    return random.Random(seed)
