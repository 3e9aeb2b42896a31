"""What a microphone records, on its way to the server."""

import numpy as np
import pytest

from wernicke_daemon.commands.recorded import Backlog, Mono, meter

RATES = [8_000, 16_000, 44_100, 48_000, 192_000]


def tone(rate: int, seconds: float, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype("<f4")


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2, 18])
def test_any_device_becomes_16_khz_mono(rate: int, channels: int) -> None:
    """A voice on the last input only is there, at a level that speech is found at; the length stays."""
    frames = np.zeros((rate, channels), "<f4")
    frames[:, -1] = tone(rate, 1.0)
    mono = Mono(rate, channels)
    pieces = [mono.convert(piece.tobytes())[0] for piece in np.array_split(frames, 10)]
    heard = np.frombuffer(b"".join([*pieces, mono.drain()]), "<f4")
    assert len(heard) == pytest.approx(16_000, abs=2)
    assert float(np.abs(heard[8_000:]).max()) > 0.2
    spectrum = np.abs(np.fft.rfft(heard[8_000:]))
    assert int(spectrum.argmax()) * 2 == 440


def test_levels_are_those_of_each_channel() -> None:
    """In dBFS; nothing at all is the lowest. What is no number counts as nothing, and harms nothing after it."""
    mono = Mono(48_000, 3)
    frames = np.zeros((4_800, 3), "<f4")
    frames[:, 0], frames[:, 1] = 1.0, 0.1
    frames[0, 2] = np.nan
    audio, levels = mono.convert(frames.tobytes())
    assert levels == pytest.approx([0.0, -20.0, -100.0])
    assert np.isfinite(np.frombuffer(audio + mono.drain(), "<f4")).all()


def test_the_meter_has_a_bar_for_each_channel() -> None:
    """Full at full scale, empty from -60 dB down."""
    assert meter([0.0], 4) == "level [####] 0 dB"
    assert meter([-30.0, -80.0], 4) == "level [##--] [----] -30 dB"
    assert meter([-100.0], 4) == "level [----] no sound"


def test_the_oldest_goes_where_too_much_waits() -> None:
    """What is lost is counted."""
    backlog = Backlog(most=8)
    for chunk in (b"aaaa", b"bbbb", b"cccc"):
        backlog.put(chunk)
    assert (backlog.take(), backlog.take(), backlog.take()) == (b"bbbb", b"cccc", None)
    assert backlog.lost == 4
