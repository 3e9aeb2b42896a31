"""What a Deepgram client asks for in its address, in the words of our own protocol. Pure.

Names and values: https://developers.deepgram.com/reference/speech-to-text/listen-streaming. What is neither read nor
refused here is ignored; docs/compatibility.md lists it all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ipc.errors import WernickeError
from wernicke_daemon.wire.audio import AudioFormat, Encoding

ENCODINGS: dict[str, Encoding] = {"linear16": "s16le", "linear32": "f32le"}

EVENTS = ["session", "partial", "speaker", "suppressed", "flush"]
"""What is asked for of the front; which of it the client is told is for `results.py` to say."""


class Refused(WernickeError):
    """An option that can't be had. The sentence says what can."""

    code = "INVALID_OPTION"


@dataclass(frozen=True)
class Asked:
    """What a client wants of its stream."""

    audio: AudioFormat  # that it sends
    language: str | None  # ISO 639-1 code or "auto"; None for the daemon's own
    glossary: list[str]  # terms that will be heard
    interim: bool  # results before they are final
    diarize: bool  # numbers of speakers
    endpointing: bool  # to be told where speech has ended, in the last result of an utterance
    utterance_end: bool  # the same as a message of its own
    vad_events: bool  # to be told where speech begins

    @property
    def start(self) -> dict[str, Any]:
        """The `start` of our own protocol."""
        return {
            "type": "start",
            "sample_rate": self.audio.sample_rate,
            "channels": self.audio.channels,
            "encoding": self.audio.encoding,
            "glossary": self.glossary,
            "events": EVENTS,
        } | ({} if self.language is None else {"language": self.language})


def asked(query: Iterable[tuple[str, str]]) -> Asked:
    """query: names with values, in which a name may come several times. Raises Refused, and InvalidAudio for a format
    that is out of range."""
    pairs = list(query)
    said = dict(pairs)
    _refuse(said)
    return Asked(
        audio=_audio(said),
        language=_language(said),
        glossary=[_term(name, value) for name, value in pairs if name in ("keyterm", "keywords") and value],
        interim=_flag(said, "interim_results"),
        diarize=_flag(said, "diarize") or "diarize_model" in said,
        endpointing=said.get("endpointing", "").lower() != "false",
        utterance_end="utterance_end_ms" in said,
        vad_events=_flag(said, "vad_events"),
    )


def _refuse(said: dict[str, str]) -> None:
    """What a client relies on and would not notice the lack of."""
    if _flag(said, "multichannel"):
        raise Refused(
            "multichannel is not supported: open a stream for each channel, or leave it out to have them mixed."
        )
    if "callback" in said:
        raise Refused("callback is not supported: results come on this connection.")
    if said.get("redact", "false").lower() != "false":
        raise Refused("redact is not supported: transcripts hold what was said.")


def _audio(said: dict[str, str]) -> AudioFormat:
    encoding = said.get("encoding", "")
    if encoding not in ENCODINGS:
        raise Refused(
            f"encoding must be linear16 or linear32 (PCM without a header), not {encoding or 'left out'}: "
            "have the audio decoded before it is sent."
        )
    if "sample_rate" not in said:
        raise Refused(f"sample_rate must be given with encoding={encoding}.")
    return AudioFormat(_number(said, "sample_rate"), _number(said, "channels", "1"), ENCODINGS[encoding])


def _number(said: dict[str, str], name: str, default: str = "") -> int:
    value = said.get(name, default)
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise Refused(f"{name} must be a whole number, not {value!r}.")
    return int(value)


def _flag(said: dict[str, str], name: str) -> bool:
    """Python's clients write True."""
    value = said.get(name, "false").lower()
    if value not in ("true", "false"):
        raise Refused(f"{name} must be true or false, not {said[name]!r}.")
    return value == "true"


def _language(said: dict[str, str]) -> str | None:
    """Without its region: en-US is en."""
    language = said.get("language", "").lower().replace("_", "-").partition("-")[0]
    if language == "multi" or _flag(said, "detect_language"):
        return "auto"
    return language or None


def _term(name: str, value: str) -> str:
    """Of `keywords` with its weight, as in Wernicke:2."""
    return value.partition(":")[0] if name == "keywords" else value
