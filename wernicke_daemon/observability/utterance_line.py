"""The fields of the `utterance` log line, which tuning starts from; docs/logging.md explains each. Pure."""

from collections import Counter

from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import STAGES, StageName
from wernicke_daemon.utterances import results
from wernicke_daemon.utterances.results import Outcome
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.wire.protocol import Final


def fields(utterance: Utterance, message: Outcome, latency_ms: float, with_text: bool) -> dict[str, object]:
    """message: what became of it. latency_ms: from its trigger to now. with_text: the line may say what was said."""
    text = {"text": message.text} if with_text and isinstance(message, Final) else {}
    return {**_work(utterance, latency_ms), **_shown(utterance, latency_ms), **_result(utterance, message), **text}


def _shown(utterance: Utterance, latency_ms: float) -> dict[str, object]:
    """Seconds since it began to be said."""
    caption = utterance.caption
    return {
        "first_text_s": _since(utterance, caption.first_shown),
        "last_partial_s": _since(utterance, caption.last_shown),
        "final_s": _since(utterance, utterance.triggered + latency_ms / 1000),
        "partials": caption.revision,
        "pieces": len(utterance.pieces),
        "early_ms": round(utterance.early_ms, 1),
        "live_ms": round(caption.live_ms, 1),
    }


def _since(utterance: Utterance, at: float | None) -> float | None:
    return None if at is None else round(at - utterance.began, 2)


def _work(utterance: Utterance, latency_ms: float) -> dict[str, object]:
    audio_s = utterance.audio.seconds
    timings = utterance.timings
    return {
        "session": utterance.session,
        "buffer": utterance.buffer_id,
        "sequence": utterance.sequence,
        "trigger": utterance.boundary.trigger,
        "audio_s": round(audio_s, 2),
        "speech_s": round(utterance.boundary.speech_samples / SAMPLE_RATE, 2),
        "queued_ms": {stage: round(timings[stage].queued_ms, 1) for stage in STAGES if stage in timings},
        "run_ms": {stage: round(timings[stage].run_ms, 1) for stage in STAGES if stage in timings},
        "worked_ms": {stage: _spans(utterance, stage) for stage in STAGES if stage in timings},
        "attempts": {stage: timings[stage].attempts for stage in STAGES if stage in timings},
        "real_time_factor": round(utterance.work_s / audio_s, 3) if audio_s else 0.0,
        "latency_ms": round(latency_ms, 1),
        "ready_ms": round((utterance.settled - utterance.triggered) * 1000, 1),
        "engines": results.models_used(utterance),
    }


def _spans(utterance: Utterance, stage: StageName) -> list[tuple[float, float]]:
    """When the stage was at work on it, in milliseconds from its trigger."""
    timings = [piece.timing for piece in utterance.pieces] if stage == "asr" else [utterance.timings[stage]]
    ends = [(timing, (timing.answered - utterance.triggered) * 1000) for timing in timings if timing is not None]
    return [(round(end - timing.run_ms, 1), round(end, 1)) for timing, end in ends]


def _result(utterance: Utterance, message: Outcome) -> dict[str, object]:
    asr = utterance.asr
    correction = utterance.correction
    recognised = sum(len(segment.text) for segment in asr.segments) if asr else 0
    return {
        "outcome": type(message).__name__.lower(),
        "language": asr.language if asr else None,
        "text_chars": recognised,
        "left_out": dict(Counter(asr.left_out)) if asr else {},
        "without_text_s": asr.without_text_s if asr else 0.0,
        "final_chars": len(message.text) if isinstance(message, Final) else 0,
        "segments": len(utterance.lines),
        "corrections_accepted": sum(text is not None for text in correction.texts) if correction else 0,
        "corrections_refused": len(correction.refused) if correction else 0,
        "refused_for": dict(Counter(correction.refused)) if correction else {},
        "warnings": list(utterance.warnings),
    }
