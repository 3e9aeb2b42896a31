"""What a report may not say, and a text without it. Pure: `surroundings` looks up what that is on this machine.

'C:\\Users\\Ann\\x is missing on ann-pc (192.168.1.7)'  →  '…'
'the host ann-pc (192.168.1.7) has hf_abcdef012345'     →  'the host … (…) has …'
"""

import ipaddress
import re
from typing import Any, NamedTuple, get_origin, get_type_hints

from wernicke_daemon.config.listing import listed
from wernicke_daemon.config.schema import Config
from wernicke_daemon.wire.redaction import public

MARK = "…"


class Private(NamedTuple):
    """names: of the user, of this machine and of others. folders: absolute ones. tokens: as they are used."""

    names: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()


_TOKENS = re.compile(
    r"hf_\w{8,} | sha256:\S+ | \b (?:bearer|basic) \s+ \S+ | \b token \s* = \s* \S+ | [0-9a-f]{32,}",
    re.VERBOSE | re.IGNORECASE,
)
"""Of the Hugging Face hub, of config.toml, of HTTP, of addresses, and ours (`wire.tokens.new_token`)."""

_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_IPV6 = re.compile(r"(?<![\w:])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:%\w+)?(?![\w:])", re.IGNORECASE)

_WHOLE_WORD = 4
"""Characters up to which a name counts as a word of its own alone: Ann has no part in "channels"."""


def redacted(text: str, private: Private) -> str:
    """One line, with MARK for each token, path, IP address (but this machine's own 127.0.0.1 and the like) and name."""
    line = " ".join(text.split())
    for token in private.tokens:
        line = line.replace(token, MARK)
    for folder in private.folders:
        line = _without_folder(line, folder)
    for name in sorted(private.names, key=len, reverse=True):
        line = re.sub(_named(name), MARK, line, flags=re.IGNORECASE)
    # What is known goes first: a pattern may take a part of it, and the rest would not be known again.
    line = public(_TOKENS.sub(MARK, line))
    return _IPV6.sub(_address, _IPV4.sub(_address, line))


def _without_folder(line: str, folder: str) -> str:
    """Nor what is below it: to the last quote of the sort before it, or else to the end, as in `wire.redaction`."""
    for spelt in (folder, folder.replace("\\", "/"), folder.replace("\\", "\\\\")):
        path = f"{re.escape(spelt)}.*"
        line = re.sub(rf"(?P<quote>['\"`]){path}(?P=quote)(?!\w)|{path}", _quoted, line, flags=re.IGNORECASE)
    return line


def _quoted(found: re.Match[str]) -> str:
    quote = found["quote"] or ""
    return f"{quote}{MARK}{quote}"


def _address(found: re.Match[str]) -> str:
    try:
        address = ipaddress.ip_address(found[0])
    except ValueError:  # a time, a version
        return found[0]
    return found[0] if address.is_loopback or address.is_unspecified else MARK


def _named(name: str) -> str:
    pattern = re.escape(name)
    if len(name) <= _WHOLE_WORD and name.isascii():
        return f"(?<![a-z0-9]){pattern}(?![a-z0-9])"
    return pattern


# --- settings --------------------------------------------------------------------------------------

_SAYING_NOTHING = {"asr.language", "asr.languages", "asr.compute_type", "runtime.standby"}
_MODELS = {"asr.model", "alignment.model", "diarization.model", "diarization.onnx_model", "llm.model"}
_MODEL = re.compile(r"[\w.-]+(?:/[\w.-]+)?(?::[\w.-]+)?")
"""A name of Whisper's, the hub's or Ollama's; no folder with more above it."""


def public_settings(config: Config) -> list[tuple[str, str]]:
    """Each setting by its path. Of words that the user wrote it is said only how many there are."""
    usual, choices = dict(listed(Config())), _choices(Config)
    return [
        (path, str(value) if value == usual[path] or _says_nothing(path, value, choices) else _size(value))
        for path, value in listed(config)
    ]


def _says_nothing(path: str, value: Any, choices: set[str]) -> bool:
    """Whether it tells nothing of who uses it. choices: of `_choices`."""
    if path in choices | _SAYING_NOTHING or isinstance(value, int | float):
        return True
    if path in _MODELS:
        return _MODEL.fullmatch(value) is not None
    return isinstance(value, list | tuple) and all(isinstance(one, int | float) for one in value)


def _size(value: Any) -> str:
    return f"({len(value)} given)" if isinstance(value, list | tuple) else "(given)"


def _choices(kind: Any, path: str = "") -> set[str]:
    """Paths of settings that are one of a few words."""
    found = set()
    for name, hint in get_type_hints(kind).items():
        if hasattr(hint, "__struct_fields__"):
            found |= _choices(hint, f"{path}{name}.")
        elif str(get_origin(hint)) == "typing.Literal":
            found.add(f"{path}{name}")
    return found
