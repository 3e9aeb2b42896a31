"""Where a command's transcript goes, and its complaints."""

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
    """Errors of a session know theirs; the others are about how the command was given, or what it was given."""
    if isinstance(error, ClientError):
        return error.exit_code
    return Exit.USAGE if isinstance(error, ConfigError | BadOutput) else Exit.INPUT


def check(output: Path) -> None:
    """Before there is anything to write, so that nobody waits for nothing. Raises BadOutput."""
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
