"""Notices a client whose bytes come at a fraction of the declared rate: the commonest mistake in a client's setup."""

import math

from wernicke_daemon.wire.audio import AudioFormat

EVIDENCE_S = 5.0
"""Seconds of unbroken arrival that a verdict rests on."""

MIN_ARRIVALS = 10
"""Arrivals that a verdict rests on at least, for clients that send large frames."""

SHORTEST_S = 0.005
"""Seconds, at the declared rate, that an arrival holds at least: what comes in smaller pieces (the shortest usual ones
are 2.5 ms) is one arrival once it is that much, and messages with next to nothing in them are none."""

TOLERANCE = 0.05
"""Relative difference within which a measured byte rate is taken for a format's."""

PAUSE_S = 0.3
"""A longer silence (and longer than three usual spacings) is a pause: clients may withhold silent chunks."""

COMMON_FORMATS = (
    AudioFormat(16_000, 1, "f32le"),
    AudioFormat(48_000, 1, "f32le"),
    AudioFormat(16_000, 1, "s16le"),
    AudioFormat(44_100, 1, "f32le"),
    AudioFormat(48_000, 1, "s16le"),
    AudioFormat(48_000, 2, "s16le"),
    AudioFormat(44_100, 1, "s16le"),
    AudioFormat(44_100, 2, "s16le"),
    AudioFormat(48_000, 2, "f32le"),
    AudioFormat(44_100, 2, "f32le"),
    AudioFormat(24_000, 1, "f32le"),
    AudioFormat(24_000, 1, "s16le"),
    AudioFormat(16_000, 2, "f32le"),
    AudioFormat(16_000, 2, "s16le"),
    AudioFormat(8_000, 1, "s16le"),
    AudioFormat(8_000, 1, "f32le"),
    AudioFormat(32_000, 1, "f32le"),
    AudioFormat(32_000, 1, "s16le"),
    AudioFormat(22_050, 1, "f32le"),
    AudioFormat(22_050, 1, "s16le"),
)
"""What speech is usually sent as, the likeliest first."""


class RateWatch:
    """Measures one client's byte rate over unbroken runs of arrivals. Faster than declared is never warned of.

    The mean rate over a run must be a common format's. Chunks left out here and there lower it too, but then many of
    the others still come at the declared rate; so three quarters of the arrivals must have been slower than that.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format  # as declared
        self._warned = False
        self._last: float | None = None  # time of the last arrival
        self._pieces = 0  # bytes since then, too few for one
        self._begin_run()

    def arrived(self, nbytes: int, now: float) -> str | None:
        """A warning in one sentence, at most once in a connection, else None.

        now: seconds of a monotonic clock; a coarse one (16 ms on Windows) hides at most the small differences of rate.
        """
        if self._warned:
            return None
        self._pieces += nbytes
        if self._pieces < SHORTEST_S * self._format.bytes_per_second:
            return None
        nbytes, self._pieces = self._pieces, 0
        last, self._last = self._last, now
        if last is None:
            return None
        self._count(nbytes, now - last)
        if self._elapsed < EVIDENCE_S or len(self._rates) < MIN_ARRIVALS:
            return None
        likely = self._likely_formats()
        self._begin_run()
        self._warned = bool(likely)
        return self._sentence(likely) if likely else None

    def _begin_run(self) -> None:
        self._bytes = 0  # of the run's arrivals but the first
        self._elapsed = 0.0  # seconds from its first arrival to its last
        self._rates: list[float] = []  # bytes a second of each but the first

    def _count(self, nbytes: int, gap: float) -> None:
        """`nbytes` were captured during `gap`, the time since the arrival before; a pause begins a new run."""
        if self._rates and gap > max(PAUSE_S, 3 * self._elapsed / len(self._rates)):
            self._begin_run()
            return
        self._bytes += nbytes
        self._elapsed += gap
        self._rates.append(nbytes / gap if gap > 0 else math.inf)

    def _likely_formats(self) -> list[AudioFormat]:
        mean = self._bytes / self._elapsed
        too_slow = self._format.bytes_per_second * (1 - TOLERANCE)
        slower = [f for f in COMMON_FORMATS if f.bytes_per_second < too_slow]
        if not slower or mean >= too_slow or _upper_quartile(self._rates) >= too_slow:
            return []
        nearest = min((f.bytes_per_second for f in slower), key=lambda rate: abs(mean - rate))
        if abs(mean - nearest) > TOLERANCE * nearest:
            return []
        return [f for f in slower if f.bytes_per_second == nearest][:2]

    def _sentence(self, likely: list[AudioFormat]) -> str:
        queries = " or ".join(_query(f) for f in likely)
        percent = 100 * likely[0].bytes_per_second / self._format.bytes_per_second
        return (
            f"audio arrives at {percent:.0f} % of the rate that {_query(self._format)} declares; "
            f"connect with {queries} if that is what the client sends"
        )


def _upper_quartile(rates: list[float]) -> float:
    return sorted(rates)[3 * len(rates) // 4]


def _query(audio_format: AudioFormat) -> str:
    f = audio_format
    return f"?sample_rate={f.sample_rate}&channels={f.channels}&encoding={f.encoding}"
