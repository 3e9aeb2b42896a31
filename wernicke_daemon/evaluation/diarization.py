"""Diarization error rates by pyannote.metrics, which the extra `eval` brings."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from wernicke_daemon.evaluation.reference import Stretch

MISSING = 'the diarization error rate takes pyannote.metrics: pip install ".[eval]"'

LENIENT_COLLAR_S = 0.25
"""Not scored before and after each change in the reference, as NIST's md-eval has it by default."""
STRICT = "no collar, overlapping speech included"
LENIENT = f"collar {LENIENT_COLLAR_S} s, overlapping speech left out"


class SpeakerTime(NamedTuple):
    """Seconds. total: spoken, by each speaker. confusion: under another's label; missed: under none; false: labelled
    where nobody speaks."""

    total: float = 0.0
    confusion: float = 0.0
    missed: float = 0.0
    false: float = 0.0

    def __add__(self, other: Any) -> "SpeakerTime":
        """Field by field."""
        return SpeakerTime(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def rate(self) -> float | None:
        return round((self.confusion + self.missed + self.false) / self.total, 4) if self.total else None

    @property
    def confusion_rate(self) -> float | None:
        return round(self.confusion / self.total, 4) if self.total else None

    def told(self) -> dict[str, float] | None:
        """Shares of the time spoken; None where it was not measured."""
        if not self.total:
            return None
        shares = {name: round(getattr(self, name) / self.total, 4) for name in ("confusion", "missed", "false")}
        return {"der": self.rate or 0.0, **shares}


NEVER = SpeakerTime()


def is_installed() -> bool:
    try:
        import pyannote.metrics.diarization  # noqa: F401
    except ImportError:
        return False
    return True


def errors(reference: Sequence[Stretch], heard: Sequence[Stretch], audio_s: float) -> tuple[SpeakerTime, SpeakerTime]:
    """As STRICT and as LENIENT says. Labels are mapped to speakers for the whole recording."""
    return _errors(reference, heard, audio_s, 0.0, False), _errors(reference, heard, audio_s, LENIENT_COLLAR_S, True)


def _errors(
    reference: Sequence[Stretch], heard: Sequence[Stretch], audio_s: float, collar_s: float, skip_overlap: bool
) -> SpeakerTime:
    from pyannote.core import Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    metric = DiarizationErrorRate(collar=2 * collar_s, skip_overlap=skip_overlap)  # it takes both sides together
    everything = Timeline([Segment(0, audio_s)])
    parts = metric(_annotation(reference), _annotation(heard), uem=everything, detailed=True)
    return SpeakerTime(parts["total"], parts["confusion"], parts["missed detection"], parts["false alarm"])


def _annotation(stretches: Sequence[Stretch]) -> Any:
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for number, one in enumerate(stretches):
        annotation[Segment(one.start, one.end), number] = one.speaker
    return annotation
