"""A terminal on which the text of what is being said grows in place, below the finals."""

import sys
from collections.abc import Iterator, Sequence
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from wernicke_daemon.formats.open_texts import OpenText

_ECHO = len("^C") + 1
"""Columns kept free on the right: terminals write ^C where the cursor is, and it must not start another row."""

_NARROWEST = 2
"""Columns of a wide character."""


class OpenRows:
    """Open texts as rows of a terminal: firm text normal, the rest dim, wrapped to its width. Where there are more rows
    than it has, the last ones, below an ellipsis. foot: one more row below them, cut to the width; none where empty."""

    def __init__(self, texts: Sequence[OpenText], foot: str = "") -> None:
        self._texts = texts
        self._foot = foot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width - _ECHO
        rows = [row for text in self._texts for row in _wrapped(text, width, console)]
        shown = rows[-max(1, options.size.height - 1 - bool(self._foot)) :]
        if len(shown) < len(rows):
            shown[0] = Text("…")
        yield from shown
        if self._foot:
            yield Text(self._foot[:width], "dim")


def _wrapped(text: OpenText, width: int, console: Console) -> Iterator[Text]:
    """The label stands before the first row, and blanks before the others."""
    before = text.label
    body = Text(text.firm).append(text.loose, "dim")
    for row in body.wrap(console, max(_NARROWEST, width - len(before))):
        yield Text(before) + row
        before = " " * len(before)


class GrowingTerminal:
    """To be used as a context manager; at its end no open text is left. What goes to stderr in between comes above the
    open text where that is a terminal too."""

    def __init__(self, console: Console) -> None:
        self._texts: Sequence[OpenText] = ()
        self._foot = ""
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=sys.stderr.isatty(),
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._foot = ""
        self._live.update("")
        self._live.stop()

    def show(self, lines: str, texts: Sequence[OpenText]) -> None:
        """lines: to stay, each with its end. texts: all that is open now, below them."""
        with self._live.console as console:  # everything in one write, so that nothing flickers
            self._texts = texts
            self._live.update(OpenRows(texts, self._foot), refresh=True)
            if lines:
                console.print(Text(lines), end="", soft_wrap=True)

    def foot(self, line: str) -> None:
        """A line below all of it from now on, until the end."""
        self._foot = line
        if self._live.is_started:
            self._live.update(OpenRows(self._texts, line), refresh=True)
