"""What happened lately, by the log file's last lines: how often, without any words that are not ours. Pure."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

_EVENT = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
_OTHER = "(other)"
"""Whatever is no name of an event of ours, such as a library's sentence."""


class Kind(NamedTuple):
    """Of log lines. stage, code: "" where the line has none."""

    level: str
    event: str
    stage: str
    code: str


class Seen(NamedTuple):
    """times: how many lines. last: when the last was written. numbers: that one's fields that are numbers."""

    times: int
    last: str
    numbers: dict[str, float]


def summary(lines: Iterable[bytes]) -> dict[Kind, Seen]:
    """By kind, in the order in which they were seen first. Lines that can't be read are of the event `_OTHER`."""
    seen: dict[Kind, Seen] = {}
    for line in lines:
        fields = _fields(line)
        kind = Kind(_ours(fields, "level"), _ours(fields, "event"), _stage(fields), _code(fields))
        times = seen[kind].times + 1 if kind in seen else 1
        seen[kind] = Seen(times, _time(fields), _numbers(fields))
    return seen


def _fields(line: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except ValueError:  # bytes that are no text are no DecodeError
        return {}


def _ours(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) and _EVENT.fullmatch(value) else _OTHER


def _stage(fields: dict[str, Any]) -> str:
    return _ours(fields, "stage") if "stage" in fields else ""


def _code(fields: dict[str, Any]) -> str:
    value = fields.get("code")
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def _time(fields: dict[str, Any]) -> str:
    value = fields.get("timestamp")
    return value if isinstance(value, str) and re.fullmatch(r"[\d:.TZ-]+", value) else ""


def _numbers(fields: dict[str, Any]) -> dict[str, float]:
    return {
        name: value
        for name, value in fields.items()
        if _EVENT.fullmatch(name) and isinstance(value, int | float) and not isinstance(value, bool)
    }
