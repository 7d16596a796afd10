"""Settings: frozen dataclasses <-> TOML, JSON and ``--dotted.overrides``.

A config is a frozen dataclass of numbers, strings, paths, tuples and other configs. The string
below a field is its help text, the only place where a setting is explained. None has no spelling
in TOML, so a setting that may be None can be given as "none".
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tomli_w

from kineograph.core.errors import RequestError, in_short, nearest
from kineograph.core.files import translate_os_errors

T = TypeVar("T")
_NONE_WORDS = ("none", "null")
_NEGATIVE_NUMBER = re.compile(r"-(\d|\.\d|inf|nan)", re.IGNORECASE)


class _MisfitError(Exception):
    """A value that is not of its setting's type; says what would be."""

    def __init__(self, expected: str) -> None:
        self.expected = expected


def build(cls: type[T], values: Mapping[str, object], *, path: str = "") -> T:
    """A nested mapping (from TOML, JSON or a command line) => the config ``cls``.

    Strings are read as what their field is: "5", "1e-4", "true", "none", "1,2,3". ``path`` is the
    dotted name of the mapping itself, for messages. Raises RequestError for a key that is unknown
    (naming the nearest), a value of another type, and a setting without default that is missing.
    """
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]  # cls is a dataclass
    for key in values:
        if key not in fields:
            raise _unknown_key(cls, str(key), path)
    hints = get_type_hints(cls)
    given = {key: _read(hints[key], value, _dotted(path, key)) for key, value in values.items()}
    for name, field in fields.items():
        if name not in given and not _has_default(field):
            raise RequestError(
                f"The setting {_dotted(path, name)} is missing.",
                f"It must be {_expected(hints[name])}.",
            )
    return cls(**given)


def _dotted(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _has_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def _unknown_key(cls: type, key: str, path: str) -> RequestError:
    """Name the nearest key: here, or else anywhere below (``--steps`` for ``training.steps``)."""
    here = [f.name for f in dataclasses.fields(cls) if f.init]
    guess = nearest(key, here)
    if guess is None:
        below = {leaf.rpartition(".")[2]: leaf for leaf in _leaves(cls)}
        like = nearest(key, below)
        guess = below[like] if like else None
    hint = f'Did you mean "{_dotted(path, guess)}"? ' if guess else ""
    known = ", ".join(_dotted(path, name) for name in sorted(here))
    return RequestError(
        f'There is no setting "{_dotted(path, in_short(key))}".', f"{hint}Known: {known}."
    )


def _leaves(cls: type, path: str = "") -> Iterator[str]:
    for name, hint in get_type_hints(cls).items():
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            yield from _leaves(hint, _dotted(path, name))
        else:
            yield _dotted(path, name)


# ---- a value and its type ----------------------------------------------------------------------


def _read(hint: Any, value: object, path: str) -> Any:
    try:
        return _convert(hint, value, path)
    except _MisfitError as misfit:
        raise RequestError(
            f"The setting {path} cannot be {_shown(value)}.", f"It must be {misfit.expected}."
        ) from None


def _convert(hint: Any, value: object, path: str) -> Any:
    """One value => what ``hint`` asks for. Raises _MisfitError, or RequestError from inside it."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _convert(get_args(hint)[0], value, path)
    if hint is Any or hint is object:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(hint, value, path)
    if origin is Literal:
        return _convert_literal(hint, value)
    if hint is tuple or origin is tuple:
        return _convert_tuple(hint, value, path)
    if hint is dict or origin in (dict, Mapping):
        return _convert_mapping(hint, value, path)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        if not isinstance(value, Mapping):
            raise _MisfitError(_expected(hint))
        return build(hint, value, path=path)
    return _convert_plain(hint, value)


def _convert_union(hint: Any, value: object, path: str) -> Any:
    members = [m for m in get_args(hint) if m is not type(None)]
    may_be_none = len(members) < len(get_args(hint))
    if may_be_none and (value is None or str(value).lower() in _NONE_WORDS):
        return None
    for member in members:
        try:
            return _convert(member, value, path)
        except _MisfitError:
            continue
        except RequestError:  # from inside a section or list: it says more than "or none" would
            if len(members) == 1:
                raise
    raise _MisfitError(_expected(hint))


def _convert_literal(hint: Any, value: object) -> Any:
    choices = get_args(hint)
    for choice in choices:
        same = type(choice) is type(value) and choice == value
        if same or (isinstance(value, str) and str(choice).lower() == value.lower()):
            return choice
    guess = nearest(str(value), [str(c) for c in choices])
    raise _MisfitError(_expected(hint) + (f' (did you mean "{guess}"?)' if guess else ""))


def _convert_tuple(hint: Any, value: object, path: str) -> tuple[Any, ...]:
    if isinstance(value, str):
        inner = value.strip().strip("[]()").strip()
        value = [part.strip() for part in inner.split(",")] if inner else []
    if not isinstance(value, list | tuple):
        raise _MisfitError(_expected(hint))
    kinds = get_args(hint) or (Any, ...)
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    elif len(kinds) != len(value):
        raise _MisfitError(_expected(hint))
    return tuple(
        _read(kind, item, f"{path}[{i}]")
        for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _convert_mapping(hint: Any, value: object, path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _MisfitError(_expected(hint))
    kind = get_args(hint)[1] if get_args(hint) else Any
    return {str(k): _read(kind, v, _dotted(path, str(k))) for k, v in value.items()}


def _convert_plain(hint: Any, value: object) -> Any:
    reader = _PLAIN.get(hint)
    if reader is None:
        raise TypeError(f"a config cannot have a field of type {hint!r}")
    try:
        return reader(value)
    except (ValueError, TypeError, OverflowError):
        raise _MisfitError(_expected(hint)) from None


def _refuse(value: object) -> Any:
    raise ValueError(value)


def _bool(value: object) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value if isinstance(value, bool) else _refuse(value)


def _int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        _refuse(value)
    number = int(str(value))
    return number if -(2**63) <= number < 2**63 else _refuse(value)  # what TOML and numpy can hold


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        _refuse(value)
    number = float(value)  # type: ignore[arg-type]  # checked above
    return number if math.isfinite(number) else _refuse(value)


def _str(value: object) -> str:
    if not isinstance(value, str):
        _refuse(value)
    str(value).encode()  # refuses what no UTF-8 file could hold
    return str(value)


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        _refuse(value)
    return Path(_str(str(value)))


_PLAIN: dict[Any, Callable[[object], Any]]
_PLAIN = {bool: _bool, int: _int, float: _float, str: _str, Path: _path}

_WORDS = {
    bool: "true or false",
    int: "a whole number, like 10",
    float: "a number, like 0.5 or 1e-4",
    str: "text",
    Path: "a path",
    type(None): "none",
}


def _expected(hint: Any) -> str:
    """A type in words."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _expected(args[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_expected(a) for a in args)
    if origin is Literal:
        return "one of " + ", ".join(_shown(a) for a in args)
    if origin is tuple and args[-1] is Ellipsis:
        return f"a list, each of it {_expected(args[0])}"
    if origin is tuple:
        return f"a list of {len(args)}: " + "; ".join(_expected(a) for a in args)
    if dataclasses.is_dataclass(hint):
        return "a section with " + ", ".join(f.name for f in dataclasses.fields(hint))
    return _WORDS.get(hint, "a table of names and values" if origin or hint is dict else "a value")


def _shown(value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
        text.encode()  # what no terminal can show is spelled out
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# ---- configs => text, text and arguments => mappings -------------------------------------------


def to_dict(config: object) -> dict[str, Any]:
    """Config => what TOML and JSON can hold; ``build`` makes the same config of it again.

    None is left out, or written as "none" where the default is something else.
    """
    result: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]  # an instance
        value = getattr(config, field.name)
        if not field.init:
            continue
        if value is not None:
            result[field.name] = _plain(value)
        elif field.default is not None:
            result[field.name] = "none"
    return result


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return ["none" if item is None else _plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a config cannot hold {value!r}")


def to_toml(values: Mapping[str, Any]) -> str:
    """Nested mapping => TOML."""
    return tomli_w.dumps(values)


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file. Raises RequestError where it is missing or no TOML, naming the line."""
    path = Path(path)
    with translate_os_errors(path):
        content = path.read_bytes()
    try:
        return tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RequestError(
            f"{path} is not UTF-8 text (line {line}).", "Save it as UTF-8."
        ) from None
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path} is not valid TOML: {error}.", "Mend that line.") from None


def parse_overrides(args: Sequence[str]) -> dict[str, Any]:
    """``["--training.checkpoint-every", "7", "--seed=3"]`` => nested mapping of strings.

    Hyphens and underscores in names are the same. A name without a value means "true". What
    follows a name is its value unless it begins with a minus and is no number. The last of several
    wins. Raises RequestError for anything else.
    """
    result: dict[str, Any] = {}
    waiting = list(args)
    while waiting:
        argument = waiting.pop(0)
        name, equals, value = argument.partition("=")
        key = name.removeprefix("--").replace("-", "_")
        if not name.startswith("--") or not all(key.split(".")):
            raise RequestError(
                f'"{argument}" is not a setting.', "Write settings as --name value, like --seed 3."
            )
        if not equals:
            value = waiting.pop(0) if waiting and is_value(waiting[0]) else "true"
        _put(result, key, value)
    return result


def is_value(argument: str) -> bool:
    """Whether a word is what an option is set to, as "-3" is, and not an option."""
    return not argument.startswith("-") or bool(_NEGATIVE_NUMBER.match(argument))


def _put(result: dict[str, Any], key: str, value: str) -> None:
    *sections, last = key.split(".")
    here: Any = result
    for section in sections:
        here = here.setdefault(section, {})
        if not isinstance(here, dict):
            break
    if not isinstance(here, dict) or isinstance(here.get(last), dict):
        raise RequestError(f"--{key} is given both as a section and as a value.", "Drop one.")
    here[last] = value


def merge(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested mappings => a new one; where both have a value, ``extra`` wins."""
    result = dict(base)
    for key, value in extra.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merge(old, value) if both else value  # type: ignore[arg-type]  # both says so
    return result
