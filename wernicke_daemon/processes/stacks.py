"""Which lines of a process's output belong together: those of a stack, or of all threads' stacks, are one text. Pure.

They come from `faulthandler`, at a limit or at a crash in native code, or are a traceback.
"""

import re

BEGINS = re.compile(rb"Timeout \(|Fatal Python error|Windows fatal exception|Traceback \(|(Current t|T)hread 0x")
GOES_ON = re.compile(rb"\s|$|(Current t|T)hread 0x|Current thread's C stack|Stack \(|Extension modules:")
TRACEBACK = b"Traceback ("

MOST_LINES = 1000
"""Of one text; a longer one is told in pieces."""

GOING_ON = b"(the stacks go on)"
"""The first line of a further piece."""


class Stacks:
    """pending: a text has begun that may go on."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    @property
    def pending(self) -> bool:
        return bool(self._lines)

    def take(self, line: bytes) -> list[bytes]:
        """What can be told now that this line has come: texts of one line or more, without the last one's end."""
        if not self.pending:
            if not BEGINS.match(line):
                return [line]
            self._lines.append(line)
            return []
        if GOES_ON.match(line):
            self._lines.append(line)
            return self._piece() if len(self._lines) >= MOST_LINES else []
        if self._lines[0].startswith(TRACEBACK):  # the error itself, which is its last line
            self._lines.append(line)
            return self.rest()
        return [*self.rest(), *self.take(line)]

    def _piece(self) -> list[bytes]:
        texts = self.rest()
        self._lines.append(GOING_ON)
        return texts

    def rest(self) -> list[bytes]:
        """What has begun, as nothing more comes."""
        text = b"\n".join(self._lines).rstrip()
        self._lines.clear()
        return [text] if text else []
