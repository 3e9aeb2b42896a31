"""Deepgram's numbers for our voices. Pure."""

import re
from typing import Any

_LABEL = re.compile(r"Speaker_\d+")


class Speakers:
    """Of one stream: from 0, in the order in which they are first heard. A voice that gets a name keeps its number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}  # by what a voice is, or was, called
        self._said: dict[int, list[str | None]] = {}  # by sequence: the names in a final's segments

    def number(self, name: str) -> int:
        return self._numbers.setdefault(name, max(self._numbers.values(), default=-1) + 1)

    def note(self, final: dict[str, Any]) -> None:
        """For updates that may come of it."""
        self._said[final["sequence"]] = [segment["speaker"] for segment in final["segments"]]

    def update(self, message: dict[str, Any]) -> None:
        """message: a `speaker_update`. A label in it that is new is another voice, a name is what one is called now."""
        said = self._said.get(message["sequence"], [])
        for told in message["segments"]:
            if told["index"] < len(said):
                self._rename(said[told["index"]], told["speaker"])
                said[told["index"]] = told["speaker"]

    def _rename(self, before: str | None, now: str | None) -> None:
        if before is not None and now is not None and not _LABEL.fullmatch(now):
            self._numbers.setdefault(now, self.number(before))
