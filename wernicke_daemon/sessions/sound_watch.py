"""Notices a client whose sound has no speech in it, and says what is seen of it. Pure; times are passed in.

Only up to the first speech of a session: from then on its sound is known to be right, and nobody has to speak.
"""

import math

from wernicke_daemon.sessions.sound_facts import SoundFacts, container, likely_encoding, to_db
from wernicke_daemon.wire.audio import Audio, AudioFormat

WITHOUT_SPEECH_S = 20.0
"""Seconds of sound without speech after which is said what is seen. Of what is a file in place of samples, which takes
less room, seconds since it began to come."""

MUTED_DB = -100.0
"""dBFS of the loudest window below which a microphone is off: 16-bit samples have nothing below."""

LOUD_DB = -30.0
"""White noise that is louder is no room's: other bytes than samples sound like that."""

LOWEST_VOICE_HZ = 400.0
"""Speech has more than 5 % of its power above, unless it is played at a third of its speed."""

FASTER = 1.3
"""Seconds of audio in a second, from which that is told: a microphone's clock differs by far less."""

AS_A_FILE = 20.0
"""From there on it is certainly one: no two rates and numbers of channels are so far apart."""

BEGINNING = 16
LATEST = 1 << 14
"""Bytes that are kept of a session's beginning, and of its latest frame."""


class SoundWatch:
    """One session's. Collects nothing any more once speech was found, or something was said."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format  # as declared
        self._over = False  # nothing is to be said any more
        self._began: float | None = None  # time of the first frame
        self._latest = 0.0  # time of the latest
        self._beginning = b""  # first bytes of the session
        self._frame = b""  # the latest, or its first bytes
        self._facts = SoundFacts()  # of what became of the samples

    def arrived(self, frame: bytes, now: float) -> str | None:
        """A client's frame, as it came. A warning, in sentences, where it is a file that comes: there may never be
        enough of it to be 20 s of samples."""
        if self._over or not frame:
            return None
        self._began = now if self._began is None else self._began
        self._latest = now
        self._beginning += frame[: BEGINNING - len(self._beginning)]
        self._frame = frame[:LATEST]
        kind = container(self._beginning)
        if kind is None or now - self._began < WITHOUT_SPEECH_S:
            return None
        self._over = True
        return f"no speech so far; {_of_container(kind)}"

    def heard(self, samples: Audio) -> None:
        """What became of it."""
        if not self._over:
            self._facts.add(samples)

    def examined(self, seconds: float, speech: bool, powers: tuple[float, ...]) -> str | None:
        """So much audio has been examined since the beginning, and there was speech, or none. powers: of the channels,
        as the decoder has them. Returns a warning in sentences, once."""
        if self._over or self._began is None or (not speech and seconds < WITHOUT_SPEECH_S):
            return None
        self._over = True
        return None if speech else self._sentences(seconds, powers[:-1], powers[-1])

    def _sentences(self, seconds: float, channels: tuple[float, ...], mean: float) -> str:
        facts = [f"loudest {self._facts.loudest_db:.0f} dBFS"]
        if not self._facts.is_zero:
            facts.append(f"95 % of its power below {self._facts.highest_hz:.0f} Hz")
        if len(channels) > 1:
            facts.append(_of_channels(channels, mean))
        advice = self._of_bytes() or self._of_sound() or self._of_time(seconds) or NOTHING_ODD
        return f"no speech in the first {seconds:.0f} s of sound ({', '.join(facts)}); {advice}"

    def _of_bytes(self) -> str | None:
        declared = self._format.encoding
        if (kind := container(self._beginning)) is not None:
            return _of_container(kind)
        if (likely := likely_encoding(self._frame, self._format.channels)) not in (None, declared):
            return f"as {likely} the bytes are sound, as {declared} they are not; send f32le or s16le and declare which"
        return None

    def _of_sound(self) -> str | None:
        if self._facts.is_zero:
            return "every sample is zero: is the microphone muted, or is the program not allowed to use it?"
        if self._facts.loudest_db < MUTED_DB:
            return "that is as good as nothing: is the microphone muted, or is it the wrong one?"
        if self._facts.is_white and self._facts.loudest_db > LOUD_DB:
            return "it is white noise, which compressed audio sounds like: decode it and send PCM"
        if self._facts.highest_hz < LOWEST_VOICE_HZ:
            return "that is hum, or speech that is played too slowly: is the declared sample_rate right?"
        return None

    def _of_time(self, seconds: float) -> str | None:
        speed = seconds / max(self._latest - (self._began or 0.0), 1e-3)
        if not FASTER < speed < AS_A_FILE:
            return None
        return (
            f"it comes {speed:.1f} times as fast as it is said, which is right for a file; "
            "for a microphone declare a higher sample_rate, or more channels"
        )


NOTHING_ODD = "is it the right microphone, and does somebody speak?"


def _of_container(kind: str) -> str:
    return f"the bytes begin as a {kind} file does: decode it and send its samples, as f32le or s16le"


def _of_channels(channels: tuple[float, ...], mean: float) -> str:
    levels = "channels at " + ", ".join(f"{to_db(power):.0f}" for power in channels) + " dBFS"
    if len(channels) != 2 or not min(channels):
        return levels
    # The power of a mean is (p1 + p2 + 2 c) / 4, with c the mean of products.
    correlation = (4 * mean - sum(channels)) / (2 * math.sqrt(channels[0] * channels[1]))
    return f"{levels}, correlation {max(-1.0, min(1.0, correlation)):.1f}"
