"""TOML text → frozen msgspec structs, with refusals that name the key's path and what would be right.

msgspec checks the values; what is added here are words for people, guesses at misspelt keys, and a bar to secrets.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import inspect
from msgspec.structs import fields

from ipc.errors import WernickeError
from ipc.settings import Section

T = TypeVar("T", bound=Section)

_SECRET_KEY = re.compile(
    r"token|passw|passphrase|secret|api[_-]?key|private[_-]?key|access[_-]?key|credential|bearer", re.IGNORECASE
)


class ConfigError(WernickeError):
    """A setting that can't be used; the message names the key and what would be right, and fits on one line."""

    code = "CONFIG"


def decode(text: str, root: type[T]) -> T:
    """Raises ConfigError for bad TOML, keys that `root` does not have or that look like secrets, and bad values."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}") from None
    _refuse_secrets(document)
    _refuse_unknown(document, root)
    return _section(document, root, "")


def convert(value: Any, wanted: Any, where: str) -> Any:
    """`value` as the type `wanted`, strictly. where: what a ConfigError calls it."""
    if _is_section(wanted):
        return _section(value, wanted, where)
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        raise ConfigError(f"{where}: expected {_described(wanted)}, got {_shown(value)}") from None


def _section(table: Any, section: type[T], path: str) -> T:
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: expected a section [{path}], got {_shown(table)}")
    types = {field.name: field.type for field in fields(section)}
    return section(**{key: convert(value, types[key], _join(path, key)) for key, value in table.items()})


def _refuse_secrets(document: dict[str, Any]) -> None:
    """Looks at keys only, so that no secret can get into the message."""
    for path in _keys(document, ""):
        if _SECRET_KEY.search(path.rpartition(".")[2]):
            raise ConfigError(
                f"{path}: tokens and passwords do not belong in this file; delete the key and put a Hugging Face "
                "token into the environment variable HF_TOKEN"
            )


def _refuse_unknown(document: dict[str, Any], root: type[Section]) -> None:
    known = list(_paths(root, ""))
    for path in _keys(document, ""):
        if path not in known:
            raise ConfigError(f"{path}: unknown key; {_hint(path, known)}")


def _hint(path: str, known: list[str]) -> str:
    """The same key in another section, else one spelt much alike, else all that this section has."""
    parent, _, key = path.rpartition(".")
    namesakes = [candidate for candidate in known if candidate.rpartition(".")[2] == key]
    close = difflib.get_close_matches(path, known, n=1)
    if namesakes or close:
        return f"did you mean {' or '.join(namesakes or close)}?"
    siblings = [candidate for candidate in known if candidate.rpartition(".")[0] == parent]
    return f"known here: {', '.join(siblings)}"


def _keys(value: Any, path: str) -> Iterator[str]:
    """Paths of all keys, at any depth, also of tables within lists."""
    if isinstance(value, list):
        for item in value:
            yield from _keys(item, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield _join(path, key)
            yield from _keys(item, _join(path, key))


def _paths(section: type[Section], path: str) -> Iterator[str]:
    for field in fields(section):
        where = _join(path, field.name)
        yield where
        if _is_section(field.type):
            yield from _paths(field.type, where)


def _is_section(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, Section)


def _described(wanted: Any) -> str:
    """What a value must be, in words."""
    match inspect.type_info(wanted):
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() as number:
            return f"int {_range(number)}"
        case inspect.FloatType() as number:
            return f"number {_range(number)}"
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(_shown(value) for value in values)
        case inspect.VarTupleType():
            return "a list of texts"
        case inspect.StrType(pattern=str(pattern)):
            return f"text of the form {pattern}"
    return "text that is not empty"


def _range(number: inspect.IntType | inspect.FloatType) -> str:
    if number.ge is not None:
        return f"between {number.ge} and {number.le}" if number.le is not None else f"of at least {number.ge}"
    return f"above {number.gt} and at most {number.le}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
