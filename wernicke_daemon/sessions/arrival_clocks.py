"""When audio arrived: how long nothing has, and what time of day a sample was heard. Pure; times are passed in."""

from collections import deque

from ipc.audio_handle import SAMPLE_RATE

LONGEST_CHUNK_S = 2.0
"""A live client's frames are shorter; a longer wait for the next one counts as silence."""

ARRIVAL_SLACK_S = 0.25
"""Network jitter that is not yet silence."""

SHORTEST_CHUNK_S = 0.002
"""A frame that holds less says nothing about when the next is due; 2.5 ms is the shortest that audio is sent in."""

SLOW_CLIENT = 1.05
"""Seconds that a second of audio covers: a client's clock may be slower than ours, or its machine too busy at times."""

ANCHOR_TOLERANCE_S = 0.05
"""Arrivals that agree with the clock so far within this need no anchor of their own."""


class IdleClock:
    """How long no audio has been received. Seconds of audio count, and not that something came: frames that hold next
    to nothing go on to be silence.

    A chunk of d seconds covers d of the seconds before it came, so a live client is only late after d and some slack;
    once it is late, all the time that no audio has covered was silence. Where a chunk came sooner than its own length
    after the one before (a file, sent at once), only the time between the two says when the next is due.
    """

    def __init__(self, now: float) -> None:
        self._arrival = now  # of the last chunk that was one
        self._from = now  # all before is covered by audio, was taken as silence or does not count
        self._due = now  # what is not covered by then is silence

    def arrived(self, seconds: float, now: float) -> None:
        """`seconds` of audio came. Silence before it has been taken."""
        self._from = now if now >= self._due else min(now, self._from + SLOW_CLIENT * seconds)
        if seconds < SHORTEST_CHUNK_S:
            self._due = max(self._due, self._from + ARRIVAL_SLACK_S)
            return
        covered = min(seconds, now - self._arrival, LONGEST_CHUNK_S)
        self._arrival = now
        self._due = self._from + covered + ARRIVAL_SLACK_S

    def slept(self, seconds: float) -> None:
        """So long the machine was asleep since the last look, which the times passed in do not count; it is silence."""
        self._arrival -= seconds
        self._from -= seconds
        self._due -= seconds

    def hold(self, now: float) -> None:
        """Up to now nothing counts: reading was paused, or audio waits to be examined."""
        self._from = max(self._from, now)
        self._due = max(self._due, now)

    def take(self, now: float) -> float:
        """Seconds of silence not taken before."""
        if now < self._due:
            return 0.0
        idle = now - self._from
        self._from = self._due = now
        return idle


class WallClock:
    """Time of day of any sample. Audio that arrives at t ends at t; pauses that were withheld so do not shift it."""

    def __init__(self) -> None:
        self._anchors: deque[tuple[int, float]] = deque()

    def arrived(self, end_sample: int, wall: float) -> None:
        """Samples up to `end_sample` are in by `wall` (seconds since 1970)."""
        if self._anchors and abs(self._at(self._anchors[-1], end_sample) - wall) < ANCHOR_TOLERANCE_S:
            self._anchors[-1] = (end_sample, self._at(self._anchors[-1], end_sample))
        else:
            self._anchors.append((end_sample, wall))

    @staticmethod
    def _at(anchor: tuple[int, float], sample: int) -> float:
        return anchor[1] + (sample - anchor[0]) / SAMPLE_RATE

    def at(self, sample: int) -> float:
        """Seconds since 1970. `sample` lies in audio that arrived and was not forgotten."""
        anchor = next((anchor for anchor in self._anchors if anchor[0] > sample), self._anchors[-1])
        return self._at(anchor, sample)

    def forget(self, before: int) -> None:
        """Nobody will ask for samples before that one."""
        while len(self._anchors) > 1 and self._anchors[0][0] <= before:
            self._anchors.popleft()
