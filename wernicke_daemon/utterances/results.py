"""From a settled utterance to what its client gets. Pure."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from ipc.messages import Word
from wernicke_daemon.utterances.caption import Shown
from wernicke_daemon.utterances.joining import in_lines, joined
from wernicke_daemon.utterances.speaker_assignment import named
from wernicke_daemon.utterances.utterance import SpokenLine, Utterance
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import (
    Doubtful,
    Error,
    Final,
    Partial,
    PartialStage,
    SegmentOut,
    SpeakerUpdate,
    Suppressed,
    TimestampRange,
    WordOut,
    utc_text,
)

Outcome = Final | Error | Suppressed
"""What became of an utterance: each has exactly one."""

RECOGNISERS_OWN = ("whisper", "pocketsphinx", "none")
"""What `AsrResult.alignment` says where words have the times that the recogniser gave them."""

LATE = (
    "The recogniser has been down for too long; the daemon's log says why. The audio of this utterance is kept: "
    "its text will be in the transcript (wernicke export) once the recogniser is back."
)

UNSPEAKABLE = "This utterance could not be put into words; the daemon's log says why. The next ones are not affected."


def outcome(utterance: Utterance, names: Sequence[str | None], words: bool, now: float) -> Outcome:
    """Of a settled one. names, words, now: as for `final`."""
    if utterance.failure is not None:
        return failed(utterance, utterance.failure_code, protocol.sentence(utterance.failure))
    if not utterance.lines:
        return Suppressed(utterance.sequence, utterance.buffer_id, "no speech was recognised")
    return final(utterance, names, words, now)


def failed(utterance: Utterance, code: str = "INTERNAL_ERROR", text: str = UNSPEAKABLE) -> Error:
    return protocol.error(code, text, buffer_id=utterance.buffer_id, sequence=utterance.sequence)


def late(utterance: Utterance) -> Error:
    """Of one that was given up and will be done later."""
    return failed(utterance, protocol.LATE, LATE)


def final(utterance: Utterance, names: Sequence[str | None], words: bool, now: float) -> Final:
    """names: the session-wide name of each of diarization's pieces. words: whether the client wants word times. now:
    seconds of the clock that `triggered` is of."""
    assert utterance.asr is not None
    segments = _segments(utterance, names, words)
    return Final(
        session_id=utterance.session,
        buffer_id=utterance.buffer_id,
        sequence=utterance.sequence,
        revision=max(_revision(utterance), utterance.caption.revision + 1),
        text=_text(segments, utterance.asr.language),
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
        doubtful=[
            Doubtful(round(doubt.start, 3), round(doubt.end, 3), doubt.about, doubt.text, doubt.other)
            for doubt in utterance.asr.doubtful
        ],
    )


def recognised(utterance: Utterance, words: bool) -> Shown:
    """What can be shown once it is recognised: before anybody is named, and anything corrected. words: see `final`."""
    assert utterance.asr is not None
    lines = [SpokenLine(segment, (None,) * len(segment.words), None) for segment in utterance.asr.segments]
    stage: PartialStage = "asr" if utterance.asr.alignment in RECOGNISERS_OWN else "aligned"
    return _shown(utterance, stage, [_segment(line, None, (), words) for line in lines])


def improved(utterance: Utterance, names: Sequence[str | None], words: bool) -> Shown:
    """What can be shown once it has its speakers, or its corrections. names, words: see `final`."""
    stage: PartialStage = "diarized" if utterance.correction is None else "corrected"
    return _shown(utterance, stage, _segments(utterance, names, words))


def _shown(utterance: Utterance, stage: PartialStage, segments: Sequence[SegmentOut]) -> Shown:
    assert utterance.asr is not None
    text = _text(segments, utterance.asr.language)
    return Shown(stage, text, len(text), tuple(segments), utterance.start_s, utterance.end_s)


def revised(final: Final, update: SpeakerUpdate) -> Final:
    """With the names that are known by now."""
    segments = list(final.segments)
    for told in update.segments:
        segment = segments[told.index]
        words = segment.words
        if words is not msgspec.UNSET:
            words = [replace(word, speaker=told.speaker) for word in words]
        segments[told.index] = replace(segment, speaker=told.speaker, words=words)
    return replace(final, revision=update.revision, segments=segments)


def together(before: SpeakerUpdate, after: SpeakerUpdate) -> SpeakerUpdate:
    """Both of one result as one."""
    segments = {told.index: told for told in (*before.segments, *after.segments)}
    return replace(after, segments=[segments[index] for index in sorted(segments)])


def _text(segments: Sequence[SegmentOut], language: str) -> str:
    return in_lines([(segment.speaker, segment.text) for segment in segments], language)


def partial(utterance: Utterance, shown: Shown, latency_s: float) -> Partial:
    """shown: the newest state of its caption. latency_s: since the end of the audio that it is of was received."""
    return Partial(
        session_id=utterance.session,
        buffer_id=utterance.buffer_id,
        sequence=utterance.sequence,
        revision=utterance.caption.revision,
        stage=shown.stage,
        text=shown.text,
        stable_chars=shown.stable_chars,
        segments=list(shown.segments),
        timestamp_range=TimestampRange(round(shown.start, 3), round(shown.end, 3)),
        latency_ms=max(0, round(latency_s * 1000)),
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
        "diarization": (utterance.diarization.model or None) if utterance.diarization else None,
        "llm": models.get("correction") if utterance.correction else None,
    }


def _revision(utterance: Utterance) -> int:
    """1 + one for each stage that added something after recognition."""
    return 1 + (utterance.diarization is not None) + (utterance.correction is not None)


def _segments(utterance: Utterance, names: Sequence[str | None], words: bool) -> list[SegmentOut]:
    lines, correction = utterance.lines, utterance.correction
    corrected = correction.texts if correction is not None else (None,) * len(lines)
    return [_segment(line, text, names, words) for line, text in zip(lines, corrected, strict=True)]


def _range(utterance: Utterance) -> TimestampRange:
    return TimestampRange(round(utterance.start_s, 3), round(utterance.end_s, 3))


def _segment(line: SpokenLine, corrected: str | None, names: Sequence[str | None], words: bool) -> SegmentOut:
    segment, speaker = line.segment, named(line, names)
    return SegmentOut(
        start=round(segment.start, 3),
        end=round(segment.end, 3),
        text=segment.text if corrected is None else corrected,
        speaker=speaker,
        corrected=corrected is not None,
        original_text=segment.text if corrected is not None else None,
        words=_words(segment.words, speaker) if words else msgspec.UNSET,
    )


def _words(words: Sequence[Word], speaker: str | None) -> list[WordOut]:
    return [
        WordOut(round(word.start, 3), round(word.end, 3), word.text.strip(), round(word.score, 3), speaker)
        for word in words
    ]
