"""What the front says, in Deepgram's words. Pure: messages in, messages out.

Each line of one speaker is a `Results` of its own; times are seconds from the start of the stream, where ours are from
the start of the utterance. A transcript is the corrected text, its words are the recognised ones with their times.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from wernicke_daemon.web.deepgram.options import Asked
from wernicke_daemon.web.deepgram.speakers import Speakers
from wernicke_daemon.web.relay import Message, recogniser

NO_MODEL = "00000000-0000-0000-0000-000000000000"
"""`model_uuid`: models have none here."""

ONE_CHANNEL = [0, 1]
"""`channel_index`: the first, of one."""


class Translation:
    """Of one stream."""

    def __init__(self, asked: Asked, hello: Message) -> None:
        """hello: the front's `connection_established`."""
        self._asked = asked
        self._speakers = Speakers()
        self._begins: dict[int, float] = {}  # by sequence: where an utterance that is not final begins, in seconds
        self._finalizing = Finalizing()
        self._end = 0.0  # of the last final, in seconds
        info = {"name": "wernicke", "version": str(hello["protocol"]), "arch": recogniser(hello)}
        self._metadata = {"request_id": hello["session_id"], "model_uuid": NO_MODEL, "model_info": info}

    def take(self, message: Message) -> list[Message]:
        """message: any of the front's. What the client is told of it; in most cases one, and often none."""
        match message["type"]:
            case "partial":
                return [*self._started(message), *self._partial(message)]
            case "final":
                return [*self._started(message), *self._final(message), *self._settled(message)]
            case "speaker_update":
                self._speakers.update(message)
            case "suppressed":
                return self._settled(message)
            case "error":
                return [error(message["code"], message["message"]), *self._settled(message)]
            case "flushed":
                return self._finalized(self._finalizing.flushed(message["sequence"]))
        return []

    def _started(self, message: Message) -> Iterator[Message]:
        """Notes where an utterance begins: the first that comes of it tells."""
        sequence, start = message["sequence"], message["timestamp_range"]["start"]
        if sequence not in self._begins:
            self._begins[sequence] = start
            if self._asked.vad_events:
                yield {"type": "SpeechStarted", "channel": ONE_CHANNEL, "timestamp": _time(start)}

    def _partial(self, partial: Message) -> Iterator[Message]:
        withdrawn = partial["stage"] == "withdrawn"
        start, end = self._begins[partial["sequence"]], partial["timestamp_range"]["end"]
        if withdrawn:
            del self._begins[partial["sequence"]]
        if self._asked.interim and (partial["text"] or withdrawn):
            words = self._words(partial["segments"], start) or estimated(partial["text"], start, end)
            yield self._result(partial["text"], start, end, words)

    def _settled(self, message: Message) -> list[Message]:
        """message: what became of an utterance, or an error of none."""
        if (sequence := message.get("sequence")) is None:
            return []
        self._begins.pop(sequence, None)
        said_so = bool(message.get("segments")) and message["trigger"] == "flush"
        return self._finalized(self._finalizing.settled(sequence, said_so))

    def _finalized(self, times: int) -> list[Message]:
        """Of each `Finalize` that ended no line."""
        empty = self._result("", self._end, self._end, [])
        return [empty | {"is_final": True, "speech_final": self._asked.endpointing, "from_finalize": True}] * times

    def _final(self, final: Message) -> Iterator[Message]:
        self._speakers.note(final)
        offset, segments = final["timestamp_range"]["start"], final["segments"]
        last_end = offset
        for segment in segments:
            last_end = offset + segment["end"]
            ends = segment is segments[-1] and self._asked.endpointing and final["trigger"] != "max_duration"
            words = self._words([segment], offset)
            result = self._result(segment["text"], offset + segment["start"], last_end, words)
            if self._asked.language == "auto":
                result["channel"]["alternatives"][0]["languages"] = [final["language"]]
            self._end = last_end
            yield result | {"is_final": True, "speech_final": ends, "from_finalize": final["trigger"] == "flush"}
        if self._asked.utterance_end:
            yield {"type": "UtteranceEnd", "channel": ONE_CHANNEL, "last_word_end": _time(last_end)}

    def _words(self, segments: Iterable[Message], offset: float) -> list[Message]:
        return [
            _word(word["word"], offset + word["start"], offset + word["end"], word["score"]) | self._speaker(word)
            for segment in segments
            for word in segment.get("words", [])
        ]

    def _speaker(self, word: Message) -> Message:
        if not self._asked.diarize or word["speaker"] is None:
            return {}
        return {"speaker": self._speakers.number(word["speaker"])}

    def _result(self, text: str, start: float, end: float, words: list[Message]) -> Message:
        """One that is not final."""
        confidence = sum(word["confidence"] for word in words) / len(words) if words else 0.0
        alternative = {"transcript": text.replace("\n", " "), "confidence": round(confidence, 4), "words": words}
        return {
            "type": "Results",
            "channel_index": ONE_CHANNEL,
            "start": _time(start),
            "duration": _time(end - start),
            "is_final": False,
            "speech_final": False,
            "from_finalize": False,
            "channel": {"alternatives": [alternative]},
            "metadata": self._metadata,
        }


class Finalizing:
    """Which `Finalize` is answered by no line that it ended."""

    def __init__(self) -> None:
        self._waiting: list[int] = []  # for each that was passed on: the last utterance before it
        self._settled = 0  # the last utterance of which it is known what became of it
        self._said_so: int | None = None  # the last of which a result had `from_finalize`, which answers one

    def flushed(self, sequence: int) -> int:
        """Returns how many are to be answered now, like `settled`."""
        self._waiting.append(sequence)
        return self._due()

    def settled(self, sequence: int, said_so: bool) -> int:
        self._settled = sequence
        if said_so:
            self._said_so = sequence
        return self._due()

    def _due(self) -> int:
        due = 0
        while self._waiting and self._waiting[0] <= self._settled:
            due += self._waiting.pop(0) != self._said_so
            self._said_so = None
        return due


def estimated(text: str, start: float, end: float) -> list[Message]:
    """Words of a text whose words have no times yet, spread evenly over its characters. start, end: seconds."""
    texts = text.split()
    per_character = (end - start) / (sum(map(len, texts)) or 1)
    words, at = [], start
    for each in texts:
        words.append(_word(each, at, at + len(each) * per_character, 0.0))
        at += len(each) * per_character
    return words


def _word(text: str, start: float, end: float, score: float) -> Message:
    times = {"start": _time(start), "end": _time(end)}
    return {"word": _bare(text), **times, "confidence": round(score, 4), "punctuated_word": text}


def _bare(text: str) -> str:
    """In small letters and without punctuation around it; what is nothing else stays."""
    bare = re.sub(r"^[\W_]+|[\W_]+$", "", unicodedata.normalize("NFC", text.lower()))
    return bare or text


def _time(seconds: float) -> float:
    return round(seconds, 3)


def error(variant: str, description: str, message: str | None = None) -> Message:
    """Not one after which the stream ends. message: what the client said, where that was not understood."""
    return {"type": "Error", "variant": variant, "description": description, "message": message or description}
