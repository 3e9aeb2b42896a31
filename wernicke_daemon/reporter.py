"""What is written down about results: one `utterance` line each in the log, the figures, and what nobody could get."""

import time

import structlog

from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import STAGES
from wernicke_daemon import protocol, results
from wernicke_daemon.protocol import Error, Final, Gap, ServerMessage, Suppressed
from wernicke_daemon.stats import Stats
from wernicke_daemon.undelivered import Undelivered
from wernicke_daemon.utterance import Utterance

_log = structlog.get_logger()


class Reporter:
    """log_text: whether what was said may stand in the log."""

    def __init__(self, stats: Stats, store: Undelivered, log_text: bool) -> None:
        self._stats = stats
        self._store = store
        self._log_text = log_text

    def settled(self, utterance: Utterance, message: ServerMessage) -> None:
        """`message` is what became of it and leaves now."""
        latency_ms = (time.monotonic() - utterance.triggered) * 1000
        self._count(message)
        self._stats.utterance(utterance, latency_ms)
        text = {"text": message.text} if self._log_text and isinstance(message, Final) else {}
        _log.info("utterance", **_facts(utterance, latency_ms), **_outcome(utterance, message), **text)

    def refused(self, message: Error) -> None:
        self._stats.errors[message.code] += 1
        _log.warning("refused", code=message.code, reason=message.message)

    def undelivered(self, session: str, message: ServerMessage) -> None:
        """Results are kept; what was only of use at that moment is not."""
        if isinstance(message, Final | Gap) or (isinstance(message, Error) and message.sequence is not None):
            self._stats.undelivered += 1
            self._store.keep(session, message)
            _log.info("undelivered", session=session, kind=type(message).__name__.lower())

    def _count(self, message: ServerMessage) -> None:
        match message:
            case Final():
                self._stats.transcriptions += 1
            case Suppressed():
                self._stats.suppressed += 1
            case protocol.Error(code=code):
                self._stats.errors[code] += 1


def _facts(utterance: Utterance, latency_ms: float) -> dict[str, object]:
    """What tuning needs; docs/logging.md explains each."""
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
        "attempts": {stage: timings[stage].attempts for stage in STAGES if stage in timings},
        "real_time_factor": round(utterance.work_s / audio_s, 3) if audio_s else 0.0,
        "latency_ms": round(latency_ms, 1),
        "ready_ms": round((utterance.settled - utterance.triggered) * 1000, 1),
        "engines": results.models_used(utterance),
    }


def _outcome(utterance: Utterance, message: ServerMessage) -> dict[str, object]:
    asr = utterance.asr
    correction = utterance.correction
    recognised = sum(len(segment.text) for segment in asr.segments) if asr else 0
    return {
        "outcome": type(message).__name__.lower(),
        "language": asr.language if asr else None,
        "text_chars": recognised,
        "final_chars": len(message.text) if isinstance(message, Final) else 0,
        "segments": len(utterance.lines),
        "corrections_accepted": sum(text is not None for text in correction.texts) if correction else 0,
        "corrections_refused": correction.refused if correction else 0,
        "warnings": list(utterance.warnings),
    }
