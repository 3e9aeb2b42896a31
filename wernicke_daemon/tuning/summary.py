"""All that a report says of a stretch of log, taken up line by line in bounded memory. Pure."""

import heapq
from collections import Counter
from itertools import count
from typing import NamedTuple

from ipc.messages import STAGES, StageName
from wernicke_daemon.tuning import waits
from wernicke_daemon.tuning.histogram import Histogram
from wernicke_daemon.tuning.lines import Event, Fault, Utterance
from wernicke_daemon.tuning.timeline import Timeline
from wernicke_daemon.tuning.waits import Waits

LATEST = 16
"""Utterances in the picture of the overlap."""
MOST_ENDINGS = 100
"""Ends of stages that are listed one by one, the latest."""
MOST_NAMES = 60
"""Different names that one tally counts apart: far more than the daemon has, whatever a foreign log brings."""
OTHER = "other"

UNASKED = frozenset({"stage_died", "stage_hung"})
"""Events with which a stage's process ends that should not; a hung one is killed, which is told as its death later."""


class Tally(Counter[str]):
    """How often what, by name."""

    def note(self, name: str, times: int = 1) -> None:
        self[name if name in self or len(self) < MOST_NAMES else OTHER] += times

    def note_all(self, times: dict[str, int]) -> None:
        for name, number in times.items():
            self.note(name, number)


class Ending(NamedTuple):
    """Of a stage's process. at: seconds since 1970. event: by which the log tells. why: exit code or reason, or ""."""

    at: float
    stage: str
    event: str
    why: str


class Summary:
    """`take` each line; `faults` says of how many there was nothing to take."""

    def __init__(self) -> None:
        self.read = 0  # lines, all of them
        self.faults: Counter[Fault] = Counter()  # lines passed over, by why
        self.first: float | None = None  # when the first line that counts was written, in seconds since 1970
        self.last: float | None = None  # and the last
        self.timeline = Timeline()
        # Of utterances:
        self.outcomes, self.triggers, self.warnings = Tally(), Tally(), Tally()
        self.left_out, self.refused_for = Tally(), Tally()
        self.accepted = self.refused = 0  # segments, by what became of their correction
        self.audio_s = self.without_text_s = 0.0
        # Milliseconds. The wait for a result; until the first text, from the first sample.
        self.latency_ms, self.first_text_ms = Histogram(), Histogram()
        # Of each stage's jobs: waiting, at work. And how much of its work was done, for how much audio.
        self.queued_ms = {stage: Histogram() for stage in STAGES}
        self.run_ms = {stage: Histogram() for stage in STAGES}
        self.waits = Waits()
        # The latest, by when their results left; a heap.
        self._latest: list[tuple[float, int, Utterance]] = []
        self._numbers = count()
        # Of everything else:
        self.events = Tally()  # by name
        self.died = Tally()  # processes, by stage
        self.endings: list[Ending] = []
        self.starts = 0  # of the daemon

    def take(self, line: Utterance | Event | Fault | None) -> None:
        """As `lines.read` gives it."""
        self.read += 1
        if isinstance(line, Utterance):
            self._span(line.left)
            self._utterance(line)
        elif isinstance(line, Event):
            self._span(line.at)
            self._event(line)
        elif line is not None:
            self.faults[line] += 1

    def _span(self, at: float) -> None:
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)

    @property
    def utterances(self) -> int:
        return len(self.latency_ms)

    @property
    def latest(self) -> list[Utterance]:
        """Those of which the log says when stages worked on them, oldest first."""
        return [utterance for _, _, utterance in sorted(self._latest)]

    def share(self, tally: Counter[str], name: str) -> float:
        """Of all utterances."""
        return tally[name] / self.utterances if self.utterances else 0.0

    def work_ratio(self, stage: StageName) -> float:
        """Seconds of that stage's work for a second of audio."""
        return self.run_ms[stage].total / 1000 / max(1.0, self.audio_s)

    # --- an utterance ---

    def _utterance(self, line: Utterance) -> None:
        self._what(line)
        self._times(line)
        found = waits.causes(line)
        if found is not None:
            self.waits.add(line.latency_ms, found)
            item = (line.left, next(self._numbers), line)
            add = heapq.heappush if len(self._latest) < LATEST else heapq.heappushpop
            add(self._latest, item)

    def _what(self, line: Utterance) -> None:
        self.outcomes.note(line.outcome)
        self.triggers.note(line.trigger)
        for warning in line.warnings:
            self.warnings.note(warning)
        self.left_out.note_all(line.left_out)
        self.refused_for.note_all(line.refused_for)
        self.accepted += line.corrections_accepted
        self.refused += line.corrections_refused
        self.audio_s += line.audio_s
        self.without_text_s += line.without_text_s

    def _times(self, line: Utterance) -> None:
        self.latency_ms.add(line.latency_ms)
        if line.first_text_s is not None:
            self.first_text_ms.add(line.first_text_s * 1000)
        self.timeline.at(line.left).latency_ms.add(line.latency_ms)
        end = line.left - line.latency_ms / 1000
        self.timeline.worked("asr", end - line.live_ms / 1000, end)
        for stage in STAGES:
            if stage in line.run_ms:
                self.run_ms[stage].add(line.run_ms[stage])
                self.queued_ms[stage].add(line.queued_ms.get(stage, 0.0))
                for start, stop in line.worked_ms.get(stage) or [(-line.run_ms[stage], 0.0)]:
                    self.timeline.worked(stage, end + start / 1000, end + stop / 1000)

    # --- another line ---

    def _event(self, line: Event) -> None:
        self.events.note(line.event)
        self.starts += line.event == "ready"
        if line.event in UNASKED or line.event == "stage_replaced":
            why = line.reason if line.exit_code is None else str(line.exit_code)
            self.endings = [*self.endings, Ending(line.at, line.stage, line.event, why[:200])][-MOST_ENDINGS:]
        if line.event == "stage_died":
            self.died.note(line.stage)
            self.timeline.at(line.at).ended += 1
