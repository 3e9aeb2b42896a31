"""Figures of the run so far, for /stats: counts, and percentiles over the last thousand of each kind. Pure."""

from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from ipc.messages import STAGES, JobKind, StageName
from wernicke_daemon.observability.pages import Percentiles
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

    def percentiles(self) -> Percentiles:
        if not self._values:
            return Percentiles(None, None, 0)
        p50, p95, p99 = (round(float(value), 1) for value in np.percentile(self._values, (50, 95, 99)))
        return Percentiles(p50, p95, len(self._values), p99)


@dataclass
class Ahead:
    """Work before an utterance's end was certain. used_ms: of early work what went into finals, of live work what was
    heard in time to be shown."""

    jobs: int = 0
    work_ms: float = 0.0
    used_ms: float = 0.0


class Figures:
    """Counts results, errors by code, and milliseconds by stage."""

    def __init__(self) -> None:
        # Results by kind: with words, without any, and of either those at whose time no client was connected.
        self.transcriptions = 0
        self.suppressed = 0
        self.undelivered = 0
        # Seconds of audio: too short to be an utterance; in no utterance or lost to faults, of sessions that are over.
        self.dropped_s = 0.0
        self.silence_s = 0.0
        self.lost_s = 0.0
        # By code: of messages to clients, and in results.
        self.errors: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()
        # Milliseconds: from an utterance's end being found to its result; the longest that audio of one look waited to
        # be examined; of each stage's jobs, waiting and at work.
        self.latency_ms = Samples()
        self.vad_lag_ms = Samples()
        self.queued_ms: dict[StageName, Samples] = {stage: Samples() for stage in STAGES}
        self.run_ms: dict[StageName, Samples] = {stage: Samples() for stage in STAGES}
        # Work before an utterance's end was certain, by kind.
        self.ahead: dict[JobKind, Ahead] = {"early": Ahead(), "live": Ahead()}
        # Utterances that are settled, whatever became of them, and seconds that stages worked on them.
        self._settled = 0
        self._work_s = 0.0

    def utterance(self, utterance: Utterance, latency_ms: float) -> None:
        """A settled one, whatever became of it."""
        self._settled += 1
        self.ahead["early"].used_ms += utterance.early_ms
        self.ahead["live"].used_ms += utterance.caption.live_ms
        self._work_s += utterance.work_s
        self.warnings.update(utterance.warnings)
        self.latency_ms.add(latency_ms)

    def job(self, stage: StageName, kind: JobKind, timing: StageTiming) -> None:
        """One answered job of any stage. kind: what it was when it was answered."""
        if kind in self.ahead:
            self.ahead[kind].jobs += 1
            self.ahead[kind].work_ms += timing.run_ms
        self.queued_ms[stage].add(timing.queued_ms)
        self.run_ms[stage].add(timing.run_ms)

    def session_over(self, account: dict[str, float]) -> None:
        """account: as `SampleAccount.seconds` gives it."""
        self.silence_s += account.get("silence_s", 0.0)
        self.lost_s += account.get("lost_s", 0.0)

    @property
    def average_processing_s(self) -> float:
        """Work of all stages on one utterance."""
        return round(self._work_s / self._settled, 3) if self._settled else 0.0
