"""From a settled utterance to what its client gets. Pure."""

from collections.abc import Sequence

import msgspec

from ipc.messages import Word
from wernicke_daemon.utterances.utterance import SpokenLine, Utterance
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import (
    Error,
    Final,
    Partial,
    SegmentOut,
    Suppressed,
    TimestampRange,
    WordOut,
    utc_text,
)

Outcome = Final | Error | Suppressed
"""What became of an utterance: each has exactly one."""

UNSPEAKABLE = "This utterance could not be put into words; the daemon's log says why. The next ones are not affected."

NO_BLANKS = frozenset({"ja", "zh", "yue", "th", "lo", "my", "km", "bo"})
"""Languages written without blanks between words: their segments are joined with nothing."""


def joined(texts: Sequence[str], language: str) -> str:
    return ("" if language in NO_BLANKS else " ").join(text for text in texts if text)


def outcome(utterance: Utterance, names: Sequence[str | None], words: bool, now: float) -> Outcome:
    """Of a settled one. names, words, now: as for `final`."""
    if utterance.failure is not None:
        return failed(utterance, utterance.failure_code, protocol.sentence(utterance.failure))
    if not utterance.lines:
        return Suppressed(utterance.sequence, utterance.buffer_id, "no speech was recognised")
    return final(utterance, names, words, now)


def failed(utterance: Utterance, code: str = "INTERNAL_ERROR", text: str = UNSPEAKABLE) -> Error:
    return protocol.error(code, text, buffer_id=utterance.buffer_id, sequence=utterance.sequence)


def final(utterance: Utterance, names: Sequence[str | None], words: bool, now: float) -> Final:
    """names: the session-wide name of each local voice. words: whether the client wants word times. now: seconds of
    the clock that `triggered` is of."""
    assert utterance.asr is not None
    corrected = _corrected_texts(utterance)
    segments = [_segment(line, text, names, words) for line, text in zip(utterance.lines, corrected, strict=True)]
    return Final(
        session_id=utterance.session,
        buffer_id=utterance.buffer_id,
        sequence=utterance.sequence,
        revision=_revision(utterance),
        text=joined([segment.text for segment in segments], utterance.asr.language),
        segments=segments,
        timestamp_range=_range(utterance),
        wall_start=utc_text(utterance.wall_start),
        language=utterance.asr.language,
        duration=round(utterance.audio.seconds, 3),
        processing_time=round(utterance.work_s, 3),
        latency_ms=round((now - utterance.triggered) * 1000),
        trigger=utterance.boundary.trigger,
        models_used=models_used(utterance),
        warnings=list(utterance.warnings),
    )


def recognised(utterance: Utterance, words: bool, now: float) -> Partial:
    """The recognised text, before anybody is named and anything corrected."""
    assert utterance.asr is not None
    lines = [SpokenLine(segment, (None,) * len(segment.words), None) for segment in utterance.asr.segments]
    return Partial(
        session_id=utterance.session,
        buffer_id=utterance.buffer_id,
        sequence=utterance.sequence,
        revision=1,
        stage="asr",
        text=joined([line.segment.text for line in lines], utterance.asr.language),
        segments=[_segment(line, None, (), words) for line in lines],
        timestamp_range=_range(utterance),
        latency_ms=round((now - utterance.triggered) * 1000),
    )


def recognised_text(utterance: Utterance) -> str:
    if utterance.asr is None:
        return ""
    return joined([segment.text for segment in utterance.asr.segments], utterance.asr.language)


def models_used(utterance: Utterance) -> dict[str, str | None]:
    """What made this result; None where a stage had no part in it."""
    models = utterance.models
    return {
        "whisper": models.get("asr") if utterance.asr else None,
        "alignment": utterance.asr.alignment if utterance.asr else None,
        "diarization": models.get("diarization") if utterance.diarization else None,
        "llm": models.get("correction") if utterance.correction else None,
    }


def _revision(utterance: Utterance) -> int:
    """1 + one for each stage that added something after recognition."""
    return 1 + (utterance.diarization is not None) + (utterance.correction is not None)


def _corrected_texts(utterance: Utterance) -> Sequence[str | None]:
    if utterance.correction is None:
        return [None] * len(utterance.lines)
    return utterance.correction.texts


def _range(utterance: Utterance) -> TimestampRange:
    return TimestampRange(round(utterance.start_s, 3), round(utterance.end_s, 3))


def _segment(line: SpokenLine, corrected: str | None, names: Sequence[str | None], words: bool) -> SegmentOut:
    segment = line.segment
    return SegmentOut(
        start=round(segment.start, 3),
        end=round(segment.end, 3),
        text=segment.text if corrected is None else corrected,
        speaker=_name(line.speaker, names),
        corrected=corrected is not None,
        original_text=segment.text if corrected is not None else None,
        words=_words(line, segment.words, names) if words else msgspec.UNSET,
    )


def _words(line: SpokenLine, words: Sequence[Word], names: Sequence[str | None]) -> list[WordOut]:
    return [
        WordOut(round(word.start, 3), round(word.end, 3), word.text.strip(), round(word.score, 3), _name(voice, names))
        for word, voice in zip(words, line.speakers, strict=True)
    ]


def _name(speaker: int | None, names: Sequence[str | None]) -> str | None:
    return names[speaker] if speaker is not None and speaker < len(names) else None
