"""What a terminal shows while somebody speaks, as a terminal emulator has it."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.screen import Screen
from wernicke_daemon.commands.terminal import GrowingTerminal
from wernicke_daemon.formats.open_texts import OpenText

JAPANESE = "今日は機械学習について話しますが、その前に先週の会議で決まったことをもう一度確認しておきたいと思います。"


class Shown:
    """A GrowingTerminal and the screen that it writes to."""

    def __init__(self, columns: int, lines: int) -> None:
        self.screen = Screen(columns, lines)
        self._out = io.StringIO()
        self.terminal = GrowingTerminal(
            Console(file=self._out, force_terminal=True, legacy_windows=False, width=columns, height=lines)
        )
        self.written = ""

    def flush(self) -> None:
        new = self._out.getvalue()[len(self.written) :]
        self.written += new
        self.screen.feed(new.replace("\n", "\r\n").encode())  # as the terminal's driver does

    def show(self, lines: str, *texts: OpenText) -> list[str]:
        self.terminal.show(lines, texts)
        self.flush()
        return self.screen.rows


@contextmanager
def showing(columns: int = 40, lines: int = 8) -> Iterator[Shown]:
    shown = Shown(columns, lines)
    with shown.terminal:
        yield shown
    shown.flush()


def test_the_line_grows_in_place_and_the_final_takes_it() -> None:
    """One row, whatever was said before of it; at the end only finals."""
    with showing() as shown:
        assert shown.show("", OpenText(0.0, "", "good mourning")) == ["[00:00] good mourning"]
        assert shown.show("", OpenText(0.0, "good morning", " all")) == ["[00:00] good morning all"]
        assert "good morning\x1b[2m all" in shown.written  # firm text normal, the rest dim
        assert shown.show("[00:00] Speaker_00: good morning all\n") == ["[00:00] Speaker_00: good morning all"]
        shown.show("", OpenText(4.0, "", "never ended"))
    assert shown.screen.rows == ["[00:00] Speaker_00: good morning all"]


def test_finals_come_above_what_is_open() -> None:
    """The open texts in the order in which they are given."""
    with showing() as shown:
        texts = OpenText(3.0, "", "two"), OpenText(6.0, "", "three")
        assert shown.show("", *texts) == ["[00:03] two", "[00:06] three"]
        assert shown.show("[00:00] one\n", *texts) == ["[00:00] one", "[00:03] two", "[00:06] three"]
        assert shown.show("[00:03] two\n", texts[1]) == ["[00:00] one", "[00:03] two", "[00:06] three"]


def test_what_looks_like_markup_is_text() -> None:
    """Brackets and colons mean nothing."""
    with showing() as shown:
        assert shown.show("[00:00] :warning: [red]\n", OpenText(1.0, ":bug:", "[/b]")) == [
            "[00:00] :warning: [red]",
            "[00:01] :bug:[/b]",
        ]


def test_long_japanese_text_is_wrapped_under_itself() -> None:
    """Wide characters fill two columns; no row is as wide as the terminal; nothing is left of it afterwards."""
    with showing() as shown:
        rows = shown.show("", OpenText(0.0, JAPANESE[:20], JAPANESE[20:]))
        assert rows[0].startswith("[00:00] 今日は") and all(row.startswith(" " * 8) for row in rows[1:])
        assert "".join(row[8:] for row in rows) == JAPANESE
        assert max(cell_len(row) for row in rows) < 40 - len("^C")
        shown.show(f"[00:00] {JAPANESE}\n")
    assert shown.screen.text == f"[00:00] {JAPANESE}\n" and not shown.screen.scrolled


@pytest.mark.parametrize(("columns", "lines"), [(40, 4), (24, 3), (11, 2), (12, 5)])
def test_more_than_fits_scrolls_no_garbage(columns: int, lines: int) -> None:
    """The end of the text is what shows; at last the terminal holds the final, and that once."""
    with showing(columns, lines) as shown:
        for end in range(1, len(JAPANESE) + 1, 3):
            rows = shown.show("", OpenText(0.0, "", JAPANESE[:end]))
            assert len(rows) < lines and not shown.screen.scrolled
        if lines > 2:
            assert rows[0] == "…" and rows[-1][-1] == JAPANESE[end - 1]
        shown.show("all was heard\n", OpenText(9.0, "", JAPANESE))
    rows = [*shown.screen.scrolled, *shown.screen.rows]
    assert "".join(rows) == "all was heard"


def test_errors_come_above_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where stderr is the same terminal."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    with showing() as shown:
        shown.show("", OpenText(0.0, "", "go on"))
        print("error: lost", file=sys.stderr)
        assert shown.show("", OpenText(0.0, "", "go on then")) == ["error: lost", "[00:00] go on then"]
