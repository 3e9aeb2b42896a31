"""TOML text → frozen msgspec structs, with refusals that name the key's path and what would be right.

msgspec checks the values. Added here: sentences for people, guesses at misspelt keys, refusal of passwords and tokens.
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
_BARE_KEY = re.compile(r"[\w-]+")


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


def convert(value: Any, wanted: Any, where: str, example: Any = None) -> Any:
    """`value` as the type `wanted`, strictly. where: what a ConfigError calls it; example: of a right value."""
    if _is_section(wanted):
        return _section(value, wanted, where)
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        kind = inspect.type_info(wanted)
        got = "something else" if isinstance(kind, inspect.Metadata) else _shown(value)
        raise ConfigError(f"{where}: expected {_described(kind, example)}, got {got}") from None


def _section(table: Any, section: type[T], path: str) -> T:
    known = {field.name: field for field in fields(section)}
    if not isinstance(table, dict):
        meant = isinstance(table, bool) and "enabled" in known
        hint = f"; write [{path}] and below it enabled = {_shown(table)}" if meant else ""
        raise ConfigError(f"{path}: expected a section [{path}], got {_shown(table)}{hint}")
    values = {
        key: convert(value, known[key].type, _join(path, key), known[key].default) for key, value in table.items()
    }
    return section(**values)


def _refuse_secrets(document: dict[str, Any]) -> None:
    """Looks at keys only, so that no secret can get into the message."""
    for parent, key in _keys(document, ""):
        if _SECRET_KEY.search(key):
            raise ConfigError(
                f"{_join(parent, key)}: tokens and passwords do not belong in this file; delete the key and put a "
                "Hugging Face token into the environment variable HF_TOKEN"
            )


def _refuse_unknown(document: dict[str, Any], root: type[Section]) -> None:
    known = list(_paths(root, ""))
    for parent, key in _keys(document, ""):
        if _join(parent, key) not in known:
            raise ConfigError(f"{_join(parent, key)}: unknown key; {_hint(parent, key, known)}")


def _hint(parent: str, key: str, known: list[str]) -> str:
    """The same key in another section, else one of this section spelt much alike, else all that this section has."""
    namesakes = [path for path in known if key in (path, path.rpartition(".")[2])]
    siblings = {path.rpartition(".")[2]: path for path in known if path.rpartition(".")[0] == parent}
    likely = namesakes or [siblings[name] for name in difflib.get_close_matches(key, siblings, n=1)]
    return f"did you mean {' or '.join(likely)}?" if likely else f"known here: {', '.join(siblings)}"


def _keys(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """All keys, each with the path of its table, at any depth, also of tables within lists."""
    if isinstance(value, list):
        for item in value:
            yield from _keys(item, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield path, key
            yield from _keys(item, _join(path, key))


def _paths(section: type[Section], path: str) -> Iterator[str]:
    for field in fields(section):
        where = _join(path, field.name)
        yield where
        if _is_section(field.type):
            yield from _paths(field.type, where)


def _is_section(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, Section)


def _described(wanted: inspect.Type, example: Any) -> str:
    """What a value must be, in words: those of its description where it has one. Such a value is never shown."""
    match wanted:
        case inspect.Metadata(extra_json_schema={"description": str(description)}):
            return description
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() as number:
            return f"int {_range(number)}"
        case inspect.FloatType() as number:
            return f"number {_range(number)}"
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(_shown(value) for value in values)
        case inspect.UnionType(types=kinds):
            return " or ".join(_described(kind, None) for kind in kinds)
        case inspect.VarTupleType(item_type=inspect.StrType()):
            return "a list of texts"
        case inspect.VarTupleType(item_type=item):
            return f"a list, each {_described(item, None)}"
    return f"text such as {_shown(example)}" if example else "text that is not empty"


def _range(number: inspect.IntType | inspect.FloatType) -> str:
    if number.ge is not None:
        return f"between {number.ge} and {number.le}" if number.le is not None else f"of at least {number.ge}"
    return f"above {number.gt} and at most {number.le}"


def _join(path: str, key: str) -> str:
    name = key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
