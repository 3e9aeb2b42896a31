import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from wernicke_daemon.sessions.rate_watch import RateWatch
from wernicke_daemon.wire.audio import AudioFormat

DECLARED = AudioFormat(48_000, 2, "f32le")
MAC_TODAY = AudioFormat(16_000, 1, "f32le")

Arrival = tuple[int, float]


def stream(audio_format: AudioFormat, seconds: float, chunk_s: float = 0.1, speed: float = 1.0) -> Iterator[Arrival]:
    """(bytes, time) of chunks sent in real time, or `speed` times as fast."""
    nbytes = round(audio_format.bytes_per_second * chunk_s)
    for number in range(round(seconds / chunk_s)):
        yield nbytes, number * chunk_s / speed


def warnings(declared: AudioFormat, arrivals: Iterable[Arrival]) -> list[str]:
    watch = RateWatch(declared)
    return [warning for nbytes, now in arrivals if (warning := watch.arrived(nbytes, now))]


@pytest.mark.parametrize("chunk_s", [0.02, 0.1, 0.256, 1.0])
def test_right_rate_is_not_remarked_on(chunk_s: float) -> None:
    """Audio at the declared rate gives no warning, whatever the frame size."""
    assert warnings(DECLARED, stream(DECLARED, 60, chunk_s)) == []


@pytest.mark.parametrize("chunk_s", [0.02, 0.1, 0.256, 1.0])
def test_todays_mac_client_with_the_shipped_default(chunk_s: float) -> None:
    """16 kHz mono that is taken for 48 kHz stereo is noticed, once, with the parameters to use."""
    (warning,) = warnings(DECLARED, stream(MAC_TODAY, 60, chunk_s))
    assert "17 %" in warning
    assert "connect with ?sample_rate=16000&channels=1&encoding=f32le or ?" in warning


@pytest.mark.parametrize(
    ("declared", "sent", "queries"),
    [
        (
            AudioFormat(16_000, 1, "f32le"),
            AudioFormat(16_000, 1, "s16le"),
            ["?sample_rate=16000&channels=1&encoding=s16le", "?sample_rate=8000&channels=1&encoding=f32le"],
        ),
        (
            DECLARED,
            AudioFormat(48_000, 1, "f32le"),
            ["?sample_rate=48000&channels=1&encoding=f32le", "?sample_rate=48000&channels=2&encoding=s16le"],
        ),
        (DECLARED, AudioFormat(44_100, 2, "f32le"), ["?sample_rate=44100&channels=2&encoding=f32le"]),
    ],
)
def test_likely_parameters_are_named(declared: AudioFormat, sent: AudioFormat, queries: list[str]) -> None:
    """Of the formats with this byte rate the likeliest are named, two at most."""
    (warning,) = warnings(declared, stream(sent, 30))
    assert warning.partition("connect with ")[2] == f"{' or '.join(queries)} if that is what the client sends"


def test_five_seconds_of_evidence_are_needed() -> None:
    """Nothing is said before five unbroken seconds have come."""
    assert warnings(DECLARED, stream(MAC_TODAY, 5.0)) == []
    assert len(warnings(DECLARED, stream(MAC_TODAY, 5.3))) == 1


def test_jitter_does_not_hide_a_wrong_rate() -> None:
    """Chunks that come up to 40 ms late are still recognised."""
    late = np.random.default_rng(1).uniform(0, 0.04, 1_000)
    arrivals = [(n, t + d) for (n, t), d in zip(stream(MAC_TODAY, 20), late, strict=False)]
    assert len(warnings(DECLARED, arrivals)) == 1


def test_coarse_clock_does_not_hide_a_wrong_rate() -> None:
    """Windows counts time in steps of 15.6 ms, nearly as long as a chunk."""
    arrivals = [(n, t // 0.015625 * 0.015625) for n, t in stream(AudioFormat(48_000, 1, "f32le"), 20, 0.02)]
    assert len(warnings(DECLARED, arrivals)) == 1


def test_jitter_does_not_make_a_right_rate_wrong() -> None:
    """Chunks that come late, or two at once, give no warning when all of them come."""
    late = np.random.default_rng(2).uniform(0, 0.09, 1_000)
    arrivals = [(n, t + d) for (n, t), d in zip(stream(DECLARED, 60), late, strict=False)]
    paired = [(n, t if number % 2 else t + 0.1) for number, (n, t) in enumerate(stream(DECLARED, 60))]
    assert warnings(DECLARED, arrivals) == []
    assert warnings(DECLARED, paired) == []


@pytest.mark.parametrize("speech_s", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("pause_s", [0.1, 0.2, 0.3, 1.0, 5.0])
def test_withheld_silence_is_not_a_lower_rate(speech_s: float, pause_s: float) -> None:
    """A client that leaves silent chunks out, long pauses or short, sends at the right rate."""
    arrivals = [(n, t) for n, t in stream(DECLARED, 120) if t % (speech_s + pause_s) < speech_s]
    assert warnings(DECLARED, arrivals) == []


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.4])
def test_chunks_left_out_here_and_there_are_not_a_lower_rate(share: float) -> None:
    """Single chunks withheld at random lower the mean rate, and are not taken for another format."""
    kept = np.random.default_rng(3).uniform(size=20_000) > share
    for chunk_s in (0.02, 0.1):
        arrivals = list(itertools.compress(stream(DECLARED, 120, chunk_s), kept))
        assert warnings(DECLARED, arrivals) == []


def test_measurement_starts_anew_after_a_pause() -> None:
    """The first unbroken stretch that is long enough tells, whatever pause came before it."""
    arrivals = [(n, t) for n, t in stream(MAC_TODAY, 9.4) if t < 2 or t > 4]
    assert len(warnings(DECLARED, arrivals)) == 1


@pytest.mark.parametrize("speed", [0.97, 0.75, 0.6, 0.3])
def test_rate_of_no_common_format_is_not_remarked_on(speed: float) -> None:
    """A slow network that fits no format is no wrong declaration."""
    assert warnings(DECLARED, stream(DECLARED, 60, speed=speed)) == []


@pytest.mark.parametrize("speed", [1.5, 3.0, 50.0])
def test_file_sent_faster_than_real_time_is_not_remarked_on(speed: float) -> None:
    """A file may be sent as fast as the server takes it."""
    assert warnings(DECLARED, stream(DECLARED, 600, speed=speed)) == []


def test_slowest_format_has_nothing_to_be_mistaken_for() -> None:
    """Where no common format is slower, slow arrival is just slow."""
    declared = AudioFormat(8_000, 1, "s16le")
    assert warnings(declared, stream(declared, 60, speed=0.5)) == []


def test_whole_file_in_one_frame_is_no_evidence() -> None:
    """Few large frames far apart say nothing about a rate."""
    assert warnings(DECLARED, [(1_000_000, 0.0), (1_000_000, 30.0), (1_000_000, 60.0)]) == []
