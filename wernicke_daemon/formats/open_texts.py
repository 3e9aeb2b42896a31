"""The text of what is being said, kept from the messages that come. Pure: messages in, texts out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wernicke_daemon.formats.subtitles import clock, one_line

_RESULTS = ("final", "error", "suppressed")


@dataclass(frozen=True)
class OpenText:
    """An utterance whose final has not come, on one line. start: seconds from the session's start. firm: the beginning
    of its text, which stays until the final. loose: the rest, which may change."""

    start: float
    firm: str
    loose: str

    @property
    def label(self) -> str:
        """What stands before the text, as before that of a final."""
        return f"[{clock(self.start)}] "

    @property
    def line(self) -> str:
        return f"{self.label}{self.firm}{self.loose}"


class OpenTexts:
    """The newest partial of each utterance whose final has not come. Partials of an utterance may come before the final
    of an earlier one, so there can be several."""

    def __init__(self) -> None:
        self._by_sequence: dict[int, OpenText] = {}

    @property
    def oldest_first(self) -> list[OpenText]:
        return [text for _, text in sorted(self._by_sequence.items())]

    def take(self, message: dict[str, Any]) -> None:
        """Any message of the server; those that say nothing of an utterance change nothing."""
        sequence = message.get("sequence")
        if sequence is None:
            return
        if message["type"] == "partial":
            self._replace(sequence, message)
        elif message["type"] in _RESULTS:  # they come in order, so no utterance before it is open either
            self._by_sequence = {open_: text for open_, text in self._by_sequence.items() if open_ > sequence}

    def _replace(self, sequence: int, partial: dict[str, Any]) -> None:
        before = self._by_sequence.pop(sequence, None)
        if partial["stage"] == "withdrawn":
            return
        # A partial tells where the newest of its text was heard; the first of an utterance, where it begins.
        start = before.start if before else float(partial["timestamp_range"]["start"])
        firm, whole = one_line(partial["text"][: partial["stable_chars"]]), one_line(partial["text"])
        self._by_sequence[sequence] = OpenText(start, firm, whole.removeprefix(firm))


def joined_line(texts: Iterable[OpenText]) -> str:
    """All on one line; empty where there are none."""
    return " ".join(text.line for text in texts)
