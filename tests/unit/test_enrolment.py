"""Who speaks in recordings that are given for one person."""

import numpy as np
import pytest

from wernicke_daemon.enrolment import CanNotEnrol, _parts, only_voice
from wernicke_daemon.utterances.voiceprints import Heard


def heard(*seconds: float) -> dict[str, Heard]:
    return {f"Speaker_{at:02d}": Heard(np.full(2, at, np.float32), each) for at, each in enumerate(seconds)}


def test_the_only_voice_is_taken() -> None:
    """A cough, or a word of somebody else, makes no second one."""
    assert only_voice(heard(5.0), "田中").seconds == 5.0
    assert only_voice(heard(1.9, 20.0), "田中").seconds == 20.0
    assert only_voice(heard(100.0, 10.0), "田中").seconds == 100.0


@pytest.mark.parametrize(("seconds", "word"), [((), "0.0 s"), ((4.9,), "4.9 s"), ((3.0, 1.9), "3.0 s")])
def test_too_little_speech_is_told(seconds: tuple[float, ...], word: str) -> None:
    with pytest.raises(
        CanNotEnrol, match=f"There are {word} of clear speech; 5 s are needed.*longer recordings of 田中"
    ):
        only_voice(heard(*seconds), "田中")


@pytest.mark.parametrize("seconds", [(12.0, 8.0), (2.0, 6.0), (12.0, 4.0, 3.0)])
def test_several_voices_are_told(seconds: tuple[float, ...]) -> None:
    parts = " s, ".join(f"{each:.0f}" for each in sorted(seconds, reverse=True))
    with pytest.raises(CanNotEnrol, match=rf"{len(seconds)} voices speak \({parts} s\).*only 田中 speaks"):
        only_voice(heard(*seconds), "田中")


async def test_audio_is_heard_in_parts() -> None:
    """All of it, in order, whatever it comes in; none is longer than 30 s."""
    audio = np.arange(16_000 * 65, dtype=np.float32)

    async def chunks():  # type: ignore[no-untyped-def]
        for at in range(0, len(audio), 70_001):
            yield audio[at : at + 70_001]

    parts = [part async for part in _parts(chunks())]
    assert [number for number, _ in parts] == [1, 2, 3]
    assert max(len(samples) for _, samples in parts) == 16_000 * 30
    assert np.array_equal(np.concatenate([samples for _, samples in parts]), audio)
