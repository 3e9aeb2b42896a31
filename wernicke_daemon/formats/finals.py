"""Finals that came, with the names of speakers as they are known by now. Pure."""

from typing import Any

from wernicke_daemon.formats.subtitles import ParsedFinal


class Finals:
    """Of one session, in the order in which they came."""

    def __init__(self) -> None:
        self._by_sequence: dict[int, ParsedFinal] = {}

    @property
    def all(self) -> list[ParsedFinal]:
        return list(self._by_sequence.values())

    def take(self, message: dict[str, Any]) -> None:
        """Any message of the server; finals and what is known later of their speakers count."""
        if message.get("type") == "final":
            self._by_sequence[message["sequence"]] = message
        elif message.get("type") == "speaker_update":
            final = self._by_sequence.get(message["sequence"])
            if final is not None and final["revision"] < message["revision"]:
                self._by_sequence[message["sequence"]] = _revised(final, message)


def _revised(final: ParsedFinal, update: dict[str, Any]) -> ParsedFinal:
    segments = list(final["segments"])
    for told in update["segments"]:
        segment = segments[told["index"]] | {"speaker": told["speaker"]}
        if "words" in segment:
            segment["words"] = [word | {"speaker": told["speaker"]} for word in segment["words"]]
        segments[told["index"]] = segment
    return final | {"segments": segments, "revision": update["revision"]}
