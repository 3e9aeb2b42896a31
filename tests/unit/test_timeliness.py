"""What the benchmark of latency makes of messages and their times, on hand-made ones."""

from typing import Any

import numpy as np
import pytest

from benchmarks.conversation import DOUBTFUL_S, Heard, Talk, generated
from benchmarks.timeliness import percentiles, phrases, serial, timed
from ipc.audio_handle import SAMPLE_RATE
from ipc.settings import VadSettings

VAD = VadSettings(engine="energy", silence_s=2.0, post_roll_s=0.3, phrase_pause_s=0.5)
TALK = Talk(np.zeros(0, np.float32), ((1.0, 2.0), (2.2, 3.0), (4.0, 5.0)))


def message(kind: str, start: float, end: float, text: str = "a", **more: Any) -> dict[str, Any]:
    return {"type": kind, "sequence": 1, "text": text, "timestamp_range": {"start": start, "end": end}, **more}


def final(trigger: str = "silence") -> dict[str, Any]:
    return message("final", 0.7, 5.3, trigger=trigger, latency_ms=20)


def test_times_are_counted_from_speech_by_the_clients_clock() -> None:
    """Speech is over at 5.0, the trigger 2 s later; the first text comes 1.5 s after speech began. The first phrase (a
    pause of 0.2 s is none) ends at 3.0 and is covered by the partial that heard up to 2.97."""
    heard = [
        Heard(2.5, message("partial", 0.7, 2.3)),
        Heard(3.9, message("partial", 0.7, 2.97)),
        Heard(7.1, final()),
    ]
    [found] = timed(TALK, heard, VAD)
    assert found.first_text_s == pytest.approx(1.5)
    assert found.after_trigger_s == pytest.approx(0.1)
    assert found.after_boundary_s == pytest.approx(0.02)
    assert [phrase.text_s for phrase in found.phrases] == pytest.approx([3.9 - 3.5, 7.1 - 5.5])
    assert [phrase.audio_s for phrase in found.phrases] == pytest.approx([2.3, 4.3])


def test_a_partial_without_text_is_no_text() -> None:
    heard = [Heard(2.0, message("partial", 0.7, 2.3, text="")), Heard(7.1, final())]
    [found] = timed(TALK, heard, VAD)
    assert found.first_text_s == pytest.approx(6.1)


def test_what_the_end_of_the_session_ended_had_no_trigger() -> None:
    assert timed(TALK, [Heard(7.1, final("stop"))], VAD) == []


def test_serial_chain_waits_for_the_utterance_before() -> None:
    """Triggers at 7.0 and, said again, at 7.0: each takes 1.5 s."""
    [one] = timed(TALK, [Heard(7.1, final())], VAD)
    assert serial([one, one], lambda audio_s: 1.5) == pytest.approx([1.5, 3.0])


def test_phrases_are_joined_over_short_pauses() -> None:
    assert phrases(TALK.phrases, 0.5) == [(1.0, 3.0), (4.0, 5.0)]


def test_percentiles_are_scaled() -> None:
    assert percentiles([0.1, 0.1, 0.1], 1000) == {"p50": 100.0, "p95": 100.0}


def test_generated_speech_is_where_it_is_said_to_be_and_no_pause_is_doubtful() -> None:
    talk = generated(3, 60.0, (0.5, 2.0))
    assert np.array_equal(talk.samples, generated(3, 60.0, (0.5, 2.0)).samples)
    pauses = [b[0] - a[1] for a, b in zip(talk.phrases, talk.phrases[1:], strict=False)]
    assert all(abs(pause - decisive) >= DOUBTFUL_S for pause in pauses for decisive in (0.5, 2.0))
    start, end = (round(edge * SAMPLE_RATE) for edge in talk.phrases[2])
    assert np.abs(talk.samples[start:end]).mean() > 0.05
    assert not talk.samples[round(talk.phrases[-1][1] * SAMPLE_RATE) + 1 :].any()
