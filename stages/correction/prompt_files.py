"""Prompt files: TOML, one for each language, those of the package and those that a user puts over them."""

import re
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from ipc.errors import EngineUnavailable
from ipc.settings import Text

PACKAGED = Path(__file__).with_name("prompts")
OTHER = "other"
"""Name of the file for languages that have none of their own."""

_NAME = re.compile(rf"[a-z]{{2,3}}|{OTHER}")


T = TypeVar("T")


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request and its right answer. heard, corrected: as many texts each. context: said before, oldest first."""

    heard: Annotated[tuple[Text, ...], Meta(min_length=1)]
    corrected: Annotated[tuple[Text, ...], Meta(min_length=1)]
    context: tuple[str, ...] = ()
    glossary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.heard) != len(self.corrected):
            raise ValueError("`heard` and `corrected` need as many texts each")


class CorrectionPrompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """system: what the model is told. examples: what it is shown, in this order."""

    system: Text
    examples: tuple[Example, ...] = ()


def load(directory: str) -> dict[str, CorrectionPrompt]:
    """Of correction: see `load_all`. directory: `correction.prompts`."""
    return load_all(directory, "correction.prompts", PACKAGED, CorrectionPrompt)


def load_all(directory: str, setting: str, packaged: Path, kind: type[T]) -> dict[str, T]:
    """By language, OTHER included. A file in `directory` ("" for none) replaces the packaged one of the same name;
    so a user's other.toml does not speak for Japanese, which has its own. setting: that names the directory. kind: what
    a file holds.

    Raises EngineUnavailable that names the file and what is wrong with it.
    """
    prompts = _read_all(packaged, setting, kind)
    return {**prompts, **_read_all(Path(directory), setting, kind)} if directory else prompts


def for_language(prompts: dict[str, T], language: str) -> T:
    """language: ISO 639-1 code or "auto"."""
    return prompts.get(language, prompts[OTHER])


def _read_all(directory: Path, setting: str, kind: type[T]) -> dict[str, T]:
    try:
        files = sorted(path for path in directory.iterdir() if path.suffix == ".toml")
    except OSError as error:
        raise EngineUnavailable(
            f"the prompt directory '{directory}' can't be read ({error.strerror}): correct {setting}"
        ) from error
    return {path.stem: _read(path, kind) for path in files}


def _read(path: Path, kind: type[T]) -> T:
    try:
        if not _NAME.fullmatch(path.stem):
            raise ValueError(f"its name must be a language's code, such as ja.toml, or {OTHER}.toml")
        text = path.read_text(encoding="utf-8-sig")  # Windows editors put a mark before the first line
        return msgspec.toml.decode(text, type=kind)
    except (OSError, ValueError) as error:
        why = "it is not saved as UTF-8" if isinstance(error, UnicodeDecodeError) else error
        raise EngineUnavailable(f"the prompt file '{path}' can't be used, correct it or delete it: {why}") from error
