"""Writing transcripts to files, and reporting errors: on stderr and by the exit code."""

import sys
from collections.abc import Sequence
from pathlib import Path

from ipc.errors import WernickeError
from wernicke_daemon.client import ClientError, Exit
from wernicke_daemon.config.typed_toml import ConfigError
from wernicke_daemon.formats.subtitles import FORMATS, ParsedFinal

ENDINGS = ", ".join(f".{name}" for name in FORMATS)


class BadOutput(WernickeError):
    """A transcript can't be written there."""


def complain(what: object) -> None:
    print(f"error: {what}", file=sys.stderr, flush=True)


def exit_code(error: WernickeError) -> Exit:
    """A ClientError brings its own. Otherwise USAGE for settings and output paths, INPUT for what was to be read."""
    if isinstance(error, ClientError):
        return error.exit_code
    return Exit.USAGE if isinstance(error, ConfigError | BadOutput) else Exit.INPUT


def check(output: Path) -> None:
    """To be called before audio is sent, so that a bad path is refused at once. Raises BadOutput."""
    if _extension(output) not in FORMATS:
        raise BadOutput(f"{output} should end in {ENDINGS}.")
    if not output.parent.is_dir():
        raise BadOutput(f"The directory {output.parent} does not exist; make it first.")


def write(output: Path, finals: Sequence[ParsedFinal]) -> None:
    """In the format that the name of a checked `output` ends in. Raises BadOutput."""
    text = FORMATS[_extension(output)](finals)
    try:
        output.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise BadOutput(f"{output} can't be written: {error.strerror}.") from None


def _extension(output: Path) -> str:
    return output.suffix.lower().removeprefix(".")
