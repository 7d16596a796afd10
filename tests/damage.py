"""Damage: what may become of a file, by its kind; `fuzzing.py` loads what comes of it."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tomli_w

Random = np.random.Generator
Mutation = Callable[[bytes, Random], bytes]

NUMBERS: list[Any] = [0, -1, 1, 2, 7, 255, 2**16, 2**31, 2**32, 2**53, 2**63, -(2**63), 2**64]
NUMBERS += [10**30, 10**400, 0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf")]
VALUES: list[Any] = [None, True, False, "", "x", "5", "1e9", [], [[]], {}, {"a": 1}, [1, 2, 3]]
VALUES += ["evil.py", "../evil.py", "\udc80", "é" * 3, "x" * 5000, "\0", "F64", "I8", "BF16"]


def of_bytes(content: bytes, random: Random) -> bytes:
    """One to four places flipped, cut, inserted, doubled or overwritten."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, 5))):
        where = int(random.integers(0, max(1, len(data))))
        length = int(2 ** random.integers(0, 10))
        match int(random.integers(7)):
            case 0 if data:
                data[where] ^= 1 << int(random.integers(8))
            case 1:
                del data[where : where + length]
            case 2:
                del data[where:]
            case 3:
                data[where:where] = random.bytes(length)
            case 4:
                data[where:where] = data[where : where + length]
            case 5:
                data[where : where + 8] = int(random.integers(2**63)).to_bytes(8, "little")
            case 6:
                data[where : where + length] = bytes(length)
    return bytes(data)


def of_numbers(content: bytes, random: Random) -> bytes:
    """One number in a text becomes another."""
    found = list(re.finditer(rb"\d+(\.\d+)?", content))
    if not found:
        return of_bytes(content, random)
    number = found[int(random.integers(len(found)))]
    return (
        content[: number.start()] + repr(chosen(NUMBERS, random)).encode() + content[number.end() :]
    )


def of_lines(content: bytes, random: Random) -> bytes:
    """One line is lost, doubled or elsewhere."""
    lines = content.split(b"\n")
    line = lines.pop(int(random.integers(len(lines))))
    for _ in range(int(random.integers(3))):
        lines.insert(int(random.integers(len(lines) + 1)), line)
    return b"\n".join(lines)


def chosen(values: list[Any], random: Random) -> Any:
    return copy.deepcopy(values[int(random.integers(len(values)))])  # which may be changed later


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a tree of JSON with each of its keys."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(inside):
        yield value, key
        if isinstance(item, dict | list):
            yield from places(item)


def of_tree(tree: Any, random: Random) -> Any:
    """One to three values of a tree changed, lost, doubled, renamed or put elsewhere."""
    for _ in range(int(random.integers(1, 4))):
        where = list(places(tree))
        if not where:
            return tree
        inside, key = where[int(random.integers(len(where)))]
        match int(random.integers(8)):
            case 0 | 1:
                inside[key] = chosen(NUMBERS, random)
            case 2 | 3:
                inside[key] = chosen(VALUES, random)
            case 4:
                del inside[key]
            case 5:
                other, its = where[int(random.integers(len(where)))]
                inside[key] = json.loads(json.dumps(other[its]))
            case 6 if isinstance(inside, dict):
                inside[str(chosen(VALUES, random))] = inside.pop(key)
            case 6 | 7 if isinstance(inside, list):
                inside[key:key] = [inside[key]] * int(2 ** random.integers(0, 8))
            case _ if isinstance(inside[key], int | float) and not isinstance(inside[key], bool):
                inside[key] = inside[key] * int(random.integers(2, 2000)) + int(random.integers(2))
    return tree


def of_json(content: bytes, random: Random) -> bytes:
    tree = of_tree(json.loads(content), random)
    if random.random() < 0.02:
        return b'{"a":' * 100_000 + b"1"
    return json.dumps(tree).encode()


def of_toml(content: bytes, random: Random) -> bytes:
    try:
        return tomli_w.dumps(of_tree(tomllib.loads(content.decode()), random)).encode()
    except (TypeError, ValueError, AttributeError):  # what TOML has no word for
        return of_numbers(content, random)


def of_json_lines(content: bytes, random: Random) -> bytes:
    lines = content.splitlines()
    at = int(random.integers(len(lines)))
    lines[at] = of_json(lines[at], random)
    return b"\n".join(lines) + b"\n"


def of_safetensors(content: bytes, random: Random) -> bytes:
    """The header changed, and its length with it, so that what lies behind it is reached."""
    length = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + length], content[8 + length :]
    match int(random.integers(6)):
        case 0:
            return int(random.integers(2**63)).to_bytes(8, "little") + content[8:]
        case 1:
            rest = of_bytes(rest, random)
        case 2:
            header = of_numbers(header, random)
        case 3:
            header = of_safe_shapes(json.loads(header), random)
        case _:
            header = of_json(header, random)
    return len(header).to_bytes(8, "little") + header + rest


def of_safe_shapes(header: dict[str, Any], random: Random) -> bytes:
    """A header that is true, of other tensors: shapes, types and names that do not fit."""
    names = [name for name in header if name != "__metadata__"]
    one, other = chosen(names, random), chosen(names, random)
    match int(random.integers(4)):
        case 0:
            header[one], header[other] = header[other], header[one]
        case 1:
            header[one]["shape"] = [*header[one]["shape"], 1]
        case 2:
            header[one]["shape"] = [int(np.prod(header[one]["shape"], dtype=int))]
        case 3 if header[one]["dtype"] == "F32":
            header[one]["dtype"] = chosen(["I32", "U32"], random)
    return json.dumps(header).encode()


KINDS: dict[str, list[Mutation]] = {
    ".json": [of_bytes, of_numbers, of_lines, of_json, of_json, of_json],
    ".toml": [of_bytes, of_numbers, of_lines, of_toml, of_toml],
    ".jsonl": [of_bytes, of_numbers, of_lines, of_json_lines],
    ".safetensors": [of_bytes, of_safetensors, of_safetensors, of_safetensors],
    ".bin": [of_bytes],
}
