"""How long recognition takes, by what it took lately. Pure."""

KEEPS = 0.95
"""Share of its weight that a job keeps with each later one: some twenty jobs count."""

UNKNOWN_S = 1.0
"""Seconds that a job is taken to need for each second of audio as long as nothing is known: too slow for all that is
optional."""


class Speed:
    """Seconds of work as a straight line over seconds of audio, by least squares on weights that fade: on a graphics
    card most of it is there whatever the length, on a processor little."""

    def __init__(self) -> None:
        self._weight = self._x = self._y = self._xx = self._xy = 0.0

    def took(self, audio_s: float, work_s: float) -> None:
        """One job's."""
        sums = (self._weight, self._x, self._y, self._xx, self._xy)
        news = (1.0, audio_s, work_s, audio_s * audio_s, audio_s * work_s)
        self._weight, self._x, self._y, self._xx, self._xy = (
            KEEPS * old + new for old, new in zip(sums, news, strict=True)
        )

    @property
    def known(self) -> bool:
        return self._x > 0.0

    def seconds(self, audio_s: float) -> float:
        """What a job over so much audio needs."""
        if not self.known:
            return UNKNOWN_S * audio_s
        spread = self._weight * self._xx - self._x * self._x
        if spread < 0.01 * self._xx * self._weight:  # all of about one length
            return audio_s * self._y / self._x
        slope = max(0.0, (self._weight * self._xy - self._x * self._y) / spread)
        return max(0.0, (self._y - slope * self._x) / self._weight) + slope * audio_s
