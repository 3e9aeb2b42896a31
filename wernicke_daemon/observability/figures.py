"""Figures of the run so far, for /stats: counts, percentiles over the last thousand of each kind, and how many of all
were how large. Pure."""

from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from ipc.messages import STAGES, JobKind, StageName
from wernicke_daemon.observability.pages import Buckets, Percentiles
from wernicke_daemon.utterances.pieces import StageTiming
from wernicke_daemon.utterances.utterance import Utterance

WINDOW = 1000
"""Latest values that percentiles are taken over."""


BUCKET_LIMITS_MS = (10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0, 30_000.0, 60_000.0)
"""Upper limits, each within its bucket: from a look at new audio to what only a model's reload explains."""


class Samples:
    """The last WINDOW values of one quantity, in milliseconds, and all of them by bucket."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=WINDOW)
        self._counts = [0] * (len(BUCKET_LIMITS_MS) + 1)  # the last is above all limits
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._values.append(value)
        self._counts[bisect_left(BUCKET_LIMITS_MS, value)] += 1
        self._sum += value

    def buckets(self) -> Buckets:
        return Buckets(list(self._counts), round(self._sum, 1))

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
        # Segments whose text correction replaced; of refused corrections and of texts left out, how many by reason.
        self.corrections_accepted = 0
        self.corrections_refused: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
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
        if utterance.asr is not None:
            self.left_out.update(utterance.asr.left_out)
        if utterance.correction is not None:
            self.corrections_accepted += sum(text is not None for text in utterance.correction.texts)
            self.corrections_refused.update(utterance.correction.refused)
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
