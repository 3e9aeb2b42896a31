"""What OpenAI's clients are answered, made of our finals. Pure."""

import math
import re
import string
from collections.abc import Sequence
from typing import Any

from wernicke_daemon.formats.subtitles import ParsedFinal, to_srt, to_vtt
from wernicke_daemon.web.openai.request import Asked

_LABEL = re.compile(r"Speaker_\d+")


def answer(asked: Asked, finals: Sequence[ParsedFinal], seconds: float) -> str | dict[str, Any]:
    """Text, or what becomes JSON. finals: of the whole file, which lasts so many seconds."""
    nameless = [_nameless(final) for final in finals]
    match asked.format:
        case "text":
            return f"{text_of(finals)}\n"
        case "srt":
            return to_srt(nameless)
        case "vtt":
            return to_vtt(nameless)
        case "verbose_json":
            return _verbose(asked, finals, seconds)
        case "diarized_json":
            return _diarized(finals, seconds)
    return {"text": text_of(finals), "usage": _usage(seconds)}


def text_of(finals: Sequence[ParsedFinal]) -> str:
    """A line for each line of a speaker."""
    return "\n".join(final["text"] for final in finals if final["text"])


def delta_of(final: ParsedFinal, *, first: bool) -> str:
    """What a final adds to the text of those before it."""
    return final["text"] if first or not final["text"] else f"\n{final['text']}"


def _nameless(final: ParsedFinal) -> ParsedFinal:
    return final | {"segments": [segment | {"speaker": None} for segment in final["segments"]]}


def _usage(seconds: float) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(seconds)}


def _segments(final: ParsedFinal) -> list[dict[str, Any]]:
    """On the clock of the file."""
    offset = final["timestamp_range"]["start"]
    return [
        segment | {side: round(offset + segment[side], 3) for side in ("start", "end")} for segment in final["segments"]
    ]


# --- verbose_json ----------------------------------------------------------------------------------


def _verbose(asked: Asked, finals: Sequence[ParsedFinal], seconds: float) -> dict[str, Any]:
    segments = [segment for final in finals for segment in _segments(final)]
    found = {
        "task": "transcribe",
        "language": finals[0]["language"] if finals else asked.language,
        "duration": round(seconds, 3),
        "text": text_of(finals),
        "segments": [_whisper_segment(number, segment) for number, segment in enumerate(segments)],
        "usage": _usage(seconds),
    }
    return found | ({"words": [word for final in finals for word in _words(final)]} if asked.words else {})


def _whisper_segment(number: int, segment: dict[str, Any]) -> dict[str, Any]:
    """What Whisper alone has is as it says of good text."""
    scores = [max(word["score"], 1e-4) for word in segment.get("words", [])]
    likely = sum(map(math.log, scores)) / len(scores) if scores else 0.0
    place = {"id": number, "start": segment["start"], "end": segment["end"], "text": segment["text"]}
    fixed = {"seek": 0, "tokens": [], "temperature": 0.0, "compression_ratio": 1.0, "no_speech_prob": 0.0}
    return place | fixed | {"avg_logprob": round(likely, 4)}


def _words(final: ParsedFinal) -> list[dict[str, Any]]:
    offset = final["timestamp_range"]["start"]
    return [
        {"word": word["word"], "start": round(offset + word["start"], 3), "end": round(offset + word["end"], 3)}
        for segment in final["segments"]
        for word in segment.get("words", [])
    ]


# --- diarized_json ---------------------------------------------------------------------------------


class Letters:
    """What OpenAI calls speakers: A, B, … in the order in which they are heard; whose name is known, by it."""

    def __init__(self) -> None:
        self._letters: dict[str | None, str] = {}  # by our label

    def name(self, speaker: str | None) -> str:
        if speaker is not None and not _LABEL.fullmatch(speaker):
            return speaker
        return self._letters.setdefault(speaker, letter(len(self._letters)))


def letter(number: int) -> str:
    """0 is A, 26 is AA."""
    before, last = divmod(number, 26)
    return (letter(before - 1) if before else "") + string.ascii_uppercase[last]


def _diarized(finals: Sequence[ParsedFinal], seconds: float) -> dict[str, Any]:
    letters = Letters()
    return {
        "task": "transcribe",
        "duration": round(seconds, 3),
        "text": text_of(finals),
        "segments": [segment for final in finals for segment in diarized_segments(final, letters)],
        "usage": _usage(seconds),
    }


def diarized_segments(final: ParsedFinal, letters: Letters) -> list[dict[str, Any]]:
    """Also events of a stream."""
    return [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{final['sequence']:03}_{number:03}",
            "start": segment["start"],
            "end": segment["end"],
            "text": segment["text"],
            "speaker": letters.name(segment["speaker"]),
        }
        for number, segment in enumerate(_segments(final))
    ]
