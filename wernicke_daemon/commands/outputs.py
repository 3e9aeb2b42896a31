"""Writing transcripts to files, and reporting errors: on stderr and by the exit code."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ipc import files
from ipc.errors import WernickeError
from wernicke_daemon.client import ClientError, Exit
from wernicke_daemon.config.typed_toml import ConfigError
from wernicke_daemon.formats.exports import FORMATS
from wernicke_daemon.formats.subtitles import ParsedFinal, ParsedLoss

ENDINGS = ", ".join(f".{name}" for name in FORMATS)


class BadOutput(WernickeError):
    """A transcript can't be written there."""


def complain(what: object) -> None:
    _tell("error", what)


def warn(what: object) -> None:
    _tell("warning", what)


def note(what: object) -> None:
    _tell("note", what)


def _tell(how_bad: str, what: object) -> None:
    print(f"{how_bad}: {what}", file=sys.stderr, flush=True)


def exit_code(error: WernickeError) -> Exit:
    """A ClientError brings its own. Otherwise USAGE for settings and output paths, INPUT for what was to be read."""
    if isinstance(error, ClientError):
        return error.exit_code
    return Exit.USAGE if isinstance(error, ConfigError | BadOutput) else Exit.INPUT


def check(output: Path) -> None:
    """To be called before audio is sent, so that a bad path is refused at once. Raises BadOutput."""
    if ending(output) not in FORMATS:
        raise BadOutput(f"{output} should end in {ENDINGS}.")
    check_place(output)


def check_place(output: Path) -> None:
    """Whatever its name ends in. Raises BadOutput where no file can be written there."""
    if not output.parent.is_dir():
        raise BadOutput(f"The directory {output.parent} does not exist; make it first.")
    with _refusing(output):
        files.probe(output)


def write(output: Path, finals: Sequence[ParsedFinal], losses: Sequence[ParsedLoss] = ()) -> None:
    """In the format that the name of a checked `output` ends in. losses: what the finals lack, in formats that have a
    place for it. Raises BadOutput; what was there is untouched then."""
    write_bytes(output, FORMATS[ending(output)].bytes_of(finals, losses))


def write_text(output: Path, text: str) -> None:
    """Into an `output` whose place was checked, as a whole. Raises BadOutput; what was there is untouched then."""
    write_bytes(output, text.encode())


def write_bytes(output: Path, data: bytes) -> None:
    """As `write_text`."""
    with _refusing(output):
        files.replace(output, data)


@contextmanager
def _refusing(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadOutput(f"{output} can't be written: {error.strerror}.") from None


def ending(output: Path) -> str:
    return output.suffix.lower().removeprefix(".")
