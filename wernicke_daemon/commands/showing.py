"""Results as they come: on stdout, and in a live file."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from wernicke_daemon.client import ParsedMessage
from wernicke_daemon.formats.open_texts import OpenTexts, joined_line
from wernicke_daemon.formats.subtitles import cues

if TYPE_CHECKING:
    from wernicke_daemon.commands.live_file import LiveFile
    from wernicke_daemon.commands.terminal import GrowingTerminal


class Showing:
    """To be used as a context manager. Finals are lines on stdout and in the live file. Behind them stands what is
    being said: in the live file, and on a terminal where it is to grow."""

    def __init__(self, live_file: Path | None, *, grows: bool) -> None:
        """Raises BadOutput where the live file can't be written."""
        self._texts = OpenTexts()
        self.terminal = _growing_terminal() if grows else None
        self._file = _live_file(live_file.expanduser()) if live_file else None
        self._ending = ExitStack()

    @property
    def events(self) -> tuple[str, ...]:
        """What to ask the server for."""
        return ("partial",) if self.terminal or self._file else ()

    def __enter__(self) -> Self:
        if self._file:
            self._ending.callback(self._file.close)
        if self.terminal:
            self._ending.enter_context(self.terminal)
        return self

    def __exit__(self, *_: object) -> None:
        """Raises BadOutput where the live file lacks lines."""
        self._ending.close()

    def take(self, message: ParsedMessage) -> None:
        """Any message of the server."""
        before = self._texts.oldest_first
        self._texts.take(message)
        lines = "".join(f"{cue.line}\n" for cue in cues([message])) if message.get("type") == "final" else ""
        if lines or self._texts.oldest_first != before:
            self._show(lines)

    def foot(self, line: str) -> None:
        """What stands below all open text on a terminal where that grows; nowhere else."""
        if self.terminal:
            self.terminal.foot(line)

    def _show(self, lines: str) -> None:
        texts = self._texts.oldest_first
        if self.terminal:
            self.terminal.show(lines, texts)
        else:
            print(lines, end="", flush=True)
        if self._file:
            self._file.update(lines, joined_line(texts))


def _growing_terminal() -> "GrowingTerminal | None":
    """None where stdout can't change what it has shown: it is no terminal, or one without control characters."""
    from rich.console import Console

    from wernicke_daemon.commands.terminal import GrowingTerminal

    console = Console()
    return GrowingTerminal(console) if sys.stdout.isatty() and console.is_interactive else None


def _live_file(path: Path) -> "LiveFile":
    from wernicke_daemon.commands.live_file import LiveFile

    return LiveFile(path)
