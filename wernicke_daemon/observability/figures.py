"""Figures of the run so far, for /stats: counts, and percentiles over the last thousand of each kind. Pure."""

from collections import Counter, deque
from typing import Any

import numpy as np

from ipc.messages import STAGES, JobKind, StageName
from wernicke_daemon.utterances.pieces import StageTiming
from wernicke_daemon.utterances.utterance import Utterance

WINDOW = 1000
"""Latest values that percentiles are taken over."""


class Samples:
    """The last WINDOW values of one quantity."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=WINDOW)

    def add(self, value: float) -> None:
        self._values.append(value)

    def summary(self) -> dict[str, float | None]:
        """p50 and p95 (None without any value) and how many values they are of."""
        if not self._values:
            return {"p50": None, "p95": None, "count": 0}
        p50, p95 = np.percentile(self._values, (50, 95))
        return {"p50": round(float(p50), 1), "p95": round(float(p95), 1), "count": len(self._values)}


class Stats:
    """Counts results, errors by code, and milliseconds by stage."""

    def __init__(self) -> None:
        self.transcriptions = 0
        self.suppressed = 0
        self.undelivered = 0
        self.dropped_s = 0.0
        self.silence_s = 0.0
        self.lost_s = 0.0
        self.errors: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()
        self._settled = 0
        self._work_s = 0.0
        self._latency = Samples()
        self._queued: dict[StageName, Samples] = {stage: Samples() for stage in STAGES}
        self._run: dict[StageName, Samples] = {stage: Samples() for stage in STAGES}

    def utterance(self, utterance: Utterance, latency_ms: float) -> None:
        """A settled one, whatever became of it."""
        self._settled += 1
        self._work_s += utterance.work_s
        self.warnings.update(utterance.warnings)
        self._latency.add(latency_ms)

    def job(self, stage: StageName, kind: JobKind, timing: StageTiming) -> None:
        """One answered job of any stage."""
        self._queued[stage].add(timing.queued_ms)
        self._run[stage].add(timing.run_ms)

    def session_over(self, account: dict[str, float]) -> None:
        """account: as `SampleAccount.seconds` gives it."""
        self.silence_s += account.get("silence_s", 0.0)
        self.lost_s += account.get("lost_s", 0.0)

    def summary(self) -> dict[str, Any]:
        return {
            "total_transcriptions": self.transcriptions,
            "suppressed": self.suppressed,
            "undelivered": self.undelivered,
            "dropped_s": round(self.dropped_s, 2),
            "silence_s": round(self.silence_s, 2),
            "lost_s": round(self.lost_s, 2),
            "average_processing_time": round(self._work_s / self._settled, 3) if self._settled else 0.0,
            "latency_ms": self._latency.summary(),
            "errors": dict(self.errors),
            "warnings": dict(self.warnings),
        }

    def stage(self, stage: StageName) -> dict[str, Any]:
        return {"queued_ms": self._queued[stage].summary(), "run_ms": self._run[stage].summary()}
