"""A terminal to write to: what a person would see of it."""

import pyte
from rich.cells import cell_len


class Screen:
    """rows: what stands on it, without blanks at the end of a row or empty rows at the end. scrolled: rows that have
    gone out at the top."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        # What is out of the screen at the top can't be changed any more.
        self._screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, data: bytes) -> None:
        self._stream.feed(data)

    @property
    def rows(self) -> list[str]:
        return _trimmed([row.rstrip() for row in self._screen.display])

    @property
    def scrolled(self) -> list[str]:
        return ["".join(row[at].data for at in range(self.columns)).rstrip() for row in self._screen.history.top]

    @property
    def text(self) -> str:
        """All rows, the scrolled ones too, with those that the terminal itself has wrapped put together again."""
        rows = [*self.scrolled, *self.rows]
        return "".join(row + ("" if cell_len(row) >= self.columns - 1 else "\n") for row in rows)


def _trimmed(rows: list[str]) -> list[str]:
    while rows and not rows[-1]:
        rows.pop()
    return rows
