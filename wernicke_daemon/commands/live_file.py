"""A text file that holds the finals so far, a line each, and as its last line, without an end, what is being said."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from rapidfuzz.distance import Prefix

from ipc import files
from wernicke_daemon.commands.outputs import BadOutput

_TRIES = 10
_BETWEEN_TRIES_S = 0.2
"""At the end, for a file that another program keeps from being written for a moment, as some do on Windows."""


class LiveFile:
    """Others may read the file at any moment, and may add lines. What it held before stays. Where it can't be written
    for a while, as on Windows while a program holds it, its lines wait."""

    def __init__(self, path: Path) -> None:
        """Raises BadOutput where the file can't be written."""
        self._path = path
        self._lines = ""  # that the file does not have yet
        self._open = ""  # what the file has behind its lines
        self._late = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write("")
        except OSError as error:
            raise self._bad(error) from error

    def update(self, lines: str, open_text: str) -> None:
        """lines: to stay, each with its end. open_text: takes the place of the one before."""
        self._lines += lines
        try:
            self._write(open_text)
            self._late = False
        except OSError as error:
            self._warn(error)

    def revise(self, lines: Sequence[tuple[str, str]]) -> None:
        """At the end: lines as they were written, in order, and as they should be. What is not there any more, as an
        editor changed it, stays so."""
        if not lines:
            return
        try:
            self._write("")
            text = self._path.read_bytes().decode(errors="surrogateescape")  # others may have written anything
            files.replace(self._path, _replaced(text, lines).encode(errors="surrogateescape"))
        except OSError as error:
            self._warn(error)

    def close(self) -> None:
        """No open text is left. Raises BadOutput where the file still can't be written."""
        for left in reversed(range(_TRIES)):
            try:
                return self._write("")
            except OSError as error:
                if not left:
                    raise self._bad(error) from error
                time.sleep(_BETWEEN_TRIES_S)

    def _write(self, open_text: str) -> None:
        """Only what changes is cut off and written: whoever reads in between misses as little as can be, and finds
        whole characters. Where others have written to the file since, what is there stays."""
        new = self._lines + open_text
        with self._path.open("a+b") as file:  # opened anew: editors put another file in its place when they save
            end = file.seek(0, os.SEEK_END)
            begin = end - len(self._open.encode())
            if _last_line_is(self._open, file, begin):
                same = Prefix.similarity(self._open, new)
                file.truncate(begin + len(new[:same].encode()))
                self._open = new[:same]  # should the disk be full, this is what the file has
                file.write(new[same:].encode())
            else:
                file.write(new.encode() if _last_line_is("", file, end) else b"\n" + new.encode())
        self._lines, self._open = "", open_text

    def _warn(self, error: OSError) -> None:
        if not self._late:
            sentence = f"{self._path} can't be written now ({error.strerror}); what it lacks is added when it can be."
            print(f"warning: {sentence}", file=sys.stderr, flush=True)
        self._late = True

    def _bad(self, error: OSError) -> BadOutput:
        return BadOutput(f"{self._path} can't be written: {error.strerror}.")


def _replaced(text: str, lines: Sequence[tuple[str, str]]) -> str:
    """Each in its place: the last ones, in their order, as an earlier run may have written the same before."""
    whole = text.split("\n")
    end = len(whole)
    for old, new in reversed(lines):
        found = next((at for at in reversed(range(end)) if whole[at] == old), None)
        if found is not None:
            whole[found], end = new, found
    return "\n".join(whole)


def _last_line_is(text: str, file: BinaryIO, begin: int) -> bool:
    """Whether `text` is all that the file has from `begin` on, and a line begins there."""
    file.seek(max(0, begin - 1))
    return begin >= 0 and file.read() in ([text.encode()] if begin == 0 else [b"\n" + text.encode()])
