"""What the wait for a result was a wait for. Pure.

From an utterance's end being found to its result leaving, at each moment one thing is what the result waits for:
recognition and diarization run side by side, so the one that answers last; then correction; then earlier results of the
session, which leave first. Work before the end was found costs no wait.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from wernicke_daemon.tuning.histogram import bucket_of
from wernicke_daemon.tuning.lines import Utterance

CAUSES = (
    "asr_queue",
    "asr_run",
    "diarization_queue",
    "diarization_run",
    "correction_queue",
    "correction_run",
    "late",
    "other",
    "order",
)
"""`_queue`: behind other jobs, or a restart; `_run`: at work. late: an answer that did not come in time. other: the
front. order: earlier results, and the result being stored."""

_TOO_LATE = {"diarization": "DIARIZATION_TIMEOUT", "correction": "LLM_TIMEOUT"}
"""Warnings of a result that goes without that stage, after a wait for it."""

Spans = list[tuple[float, float]]


def causes(utterance: Utterance) -> dict[str, float] | None:
    """Milliseconds by cause, which add up to `latency_ms`. None where the line does not say when stages worked."""
    work = {stage: spans for stage, spans in utterance.worked_ms.items() if spans}
    if utterance.ready_ms is None or "asr" not in work:
        return None
    ready = max(0.0, min(utterance.ready_ms, utterance.latency_ms))
    at, found = 0.0, dict.fromkeys(CAUSES, 0.0)
    slower = max((stage for stage in ("asr", "diarization") if stage in work), key=lambda stage: work[stage][-1][1])
    for stage in (slower, "correction"):
        until = min(ready, work[stage][-1][1]) if stage in work else at
        if until > at:
            ran = _within(work[stage], at, until)
            found[f"{stage}_run"] += ran
            before_correction = stage == "correction" and _TOO_LATE["diarization"] in utterance.warnings
            found["late" if before_correction else f"{stage}_queue"] += until - at - ran
            at = until
    found["late" if any(code in utterance.warnings for code in _TOO_LATE.values()) else "other"] += ready - at
    found["order"] = utterance.latency_ms - ready
    return found


def _within(spans: Spans, start: float, end: float) -> float:
    return sum(max(0.0, min(end, to) - max(start, begin)) for begin, to in spans)


class Waits:
    """Of many utterances: milliseconds by cause, kept by how long the whole wait was."""

    def __init__(self) -> None:
        self._of: dict[int, Counter[str]] = {}  # milliseconds, by bucket of the whole wait
        self._count: Counter[int] = Counter()  # of utterances, by the same

    def add(self, latency_ms: float, found: Mapping[str, float]) -> None:
        bucket = bucket_of(latency_ms)
        self._count[bucket] += 1
        self._of.setdefault(bucket, Counter()).update(found)

    def __len__(self) -> int:
        return self._count.total()

    def mean(self, slowest: float = 1.0) -> dict[str, float]:
        """Milliseconds by cause for one utterance, of this share of all (0 to 1), the slowest. Empty without any."""
        sums: Counter[str] = Counter()
        utterances = 0
        for bucket in self._slowest(slowest):
            sums.update(self._of[bucket])
            utterances += self._count[bucket]
        return {cause: sums[cause] / utterances for cause in CAUSES} if utterances else {}

    def _slowest(self, share: float) -> Iterator[int]:
        left = share * len(self)
        for bucket in sorted(self._of, reverse=True):
            if left <= 0:
                return
            yield bucket
            left -= self._count[bucket]
