"""Results as they come: on stdout, and in a live file."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from wernicke_daemon.client import ParsedMessage
from wernicke_daemon.commands.outputs import note
from wernicke_daemon.formats.finals import Finals
from wernicke_daemon.formats.open_texts import OpenTexts, joined_line
from wernicke_daemon.formats.subtitles import cues

if TYPE_CHECKING:
    from wernicke_daemon.commands.live_file import LiveFile
    from wernicke_daemon.commands.terminal import GrowingTerminal


class Showing:
    """To be used as a context manager. Finals are lines on stdout and in the live file. Behind them stands what is
    being said: in the live file, and on a terminal where it is to grow. Lines stay as they were written first, though
    more is known later of who spoke: at the end the live file gets the names of then, and elsewhere it is said."""

    def __init__(self, live_file: Path | None, *, grows: bool) -> None:
        """Raises BadOutput where the live file can't be written."""
        self._texts = OpenTexts()
        self._finals = Finals()  # with the names of now
        self._shown: dict[int, str] = {}  # lines as they were written, by sequence
        self.terminal = _growing_terminal() if grows else None
        self._file = _live_file(live_file.expanduser()) if live_file else None
        self._ending = ExitStack()

    @property
    def events(self) -> tuple[str, ...]:
        """What to ask the server for."""
        return ("partial", "speaker") if self.terminal or self._file else ("speaker",)

    def __enter__(self) -> Self:
        if self._file:
            self._ending.callback(self._file.close)
        if self.terminal:
            self._ending.enter_context(self.terminal)
        return self

    def __exit__(self, *_: object) -> None:
        """Raises BadOutput where the live file lacks lines."""
        revised = self._revised()
        if self._file:
            self._file.revise(revised)
        self._ending.close()
        if revised:
            note(_other_names(len(revised), in_file=self._file is not None))

    def _revised(self) -> list[tuple[str, str]]:
        """Lines that were written, and as they would be now."""
        now = {final["sequence"]: _lines(final) for final in self._finals.all}
        return [
            pair
            for sequence, lines in self._shown.items()
            for pair in zip(lines.splitlines(), now[sequence].splitlines(), strict=True)
            if pair[0] != pair[1]
        ]

    def take(self, message: ParsedMessage) -> None:
        """Any message of the server."""
        before = self._texts.oldest_first
        self._texts.take(message)
        self._finals.take(_without_words(message))
        lines = _lines(message) if message.get("type") == "final" else ""
        if lines:
            self._shown[message["sequence"]] = lines
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


def _lines(final: ParsedMessage) -> str:
    return "".join(f"{cue.line}\n" for cue in cues([final]))


def _without_words(message: ParsedMessage) -> ParsedMessage:
    """Of hours of speech they would fill the memory."""
    if message.get("type") != "final":
        return message
    segments = [{name: of for name, of in segment.items() if name != "words"} for segment in message["segments"]]
    return message | {"segments": segments}


def _other_names(lines: int, *, in_file: bool) -> str:
    which = "One line" if lines == 1 else f"{lines} lines"
    where = "the live file has them, and so have" if in_file else "they are in"
    return (
        f"{which} above would have another speaker now that more was heard; {where} files written with -o, and what "
        "`wernicke export last` writes on the server's machine."
    )


def _growing_terminal() -> "GrowingTerminal | None":
    """None where stdout can't change what it has shown: it is no terminal, or one without control characters."""
    from rich.console import Console

    from wernicke_daemon.commands.terminal import GrowingTerminal

    console = Console()
    return GrowingTerminal(console) if sys.stdout.isatty() and console.is_interactive else None


def _live_file(path: Path) -> "LiveFile":
    from wernicke_daemon.commands.live_file import LiveFile

    return LiveFile(path)
