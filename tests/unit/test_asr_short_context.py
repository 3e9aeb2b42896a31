"""Whisper on short windows: how much is encoded, how much may be written, and what becomes of a doubtful text.

Through the real loading and decoding path, on a tiny model that says a known text whatever it hears.
"""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel
from structlog.testing import capture_logs

from ipc.audio_handle import AudioHandle
from ipc.errors import JobCancelled
from ipc.messages import AsrResult, AsrWork, JobKind
from stages.asr import short_context
from stages.asr.faster_whisper import FasterWhisper
from stages.asr.short_context import (
    MARGIN_S,
    MOST_TOKENS,
    agree,
    doubt_about,
    most_temperatures,
    most_tokens,
    shortened,
)
from tests.tiny_whisper import SECONDS_PER_PIECE, TEXT, build_tiny_whisper, pieces, whisper_engine

RATE = 16_000
POSITIONS_PER_SECOND = 50
"""Of the encoder's output."""
LONG = "".join(chr(0x4E00 + 7 * number) for number in range(40))
"""A text of many pieces."""
WHOLE = 30 * POSITIONS_PER_SECOND


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny-ja")


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_whisper(tmp_path_factory.mktemp("whisper") / "talkative", LONG)


def loaded(directory: Path, **settings: Any) -> FasterWhisper:
    engine = whisper_engine(directory, **settings)
    engine.load()
    return engine


def recognised(engine: FasterWhisper, seconds: float, language: str = "ja", kind: JobKind = "firm") -> AsrResult:
    audio = np.random.default_rng(0).standard_normal(int(seconds * RATE)).astype(np.float32) * np.float32(0.01)
    work = AsrWork(AudioHandle("arena", 0, 1, 0, len(audio)), language, kind=kind)
    return engine.process(work, lambda handle: audio)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Positions of each window that goes through the encoder."""
    positions: list[int] = []
    real = WhisperModel.encode

    def listening(model: WhisperModel, features: Any) -> Any:
        output = real(model, features)
        positions.append(output.shape[1])
        return output

    monkeypatch.setattr(WhisperModel, "encode", listening)
    return positions


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """Positions encoded and temperature of each attempt at a text."""
    made: list[tuple[int, float]] = []
    real = WhisperModel.generate_with_fallback

    def listening(model: WhisperModel, output: Any, prompt: Any, tokenizer: Any, options: Any) -> Any:
        made.extend((output.shape[1], temperature) for temperature in options.temperatures)
        return real(model, output, prompt, tokenizer, options)

    monkeypatch.setattr(WhisperModel, "generate_with_fallback", listening)
    return made


def positions(seconds: float) -> int:
    """Of audio and margin; features have one frame of 10 ms more than the audio."""
    return round((seconds + MARGIN_S) * POSITIONS_PER_SECOND)


# --- how much is encoded -----------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.7, 5.0, 12.0])
def test_a_short_utterance_is_encoded_with_a_margin_alone(directory: Path, encoded: list[int], seconds: float) -> None:
    """Not with 30 s, and its text and times are what they are with 30 s."""
    engine = loaded(directory)
    short = recognised(engine, seconds)
    assert encoded == [pytest.approx(positions(seconds), abs=1)]
    engine._whisper.margin_s = 30.0
    assert recognised(engine, seconds) == short
    assert encoded[1:] == [WHOLE]


def test_word_times_are_as_long_as_the_text(directory: Path) -> None:
    """The last piece ends where the model says that it does, in a window that is hardly longer."""
    (segment,) = recognised(loaded(directory), len(pieces(TEXT)) * SECONDS_PER_PIECE + 0.2).segments
    assert segment.text == TEXT
    assert segment.words[-1].end == pytest.approx(len(pieces(TEXT)) * SECONDS_PER_PIECE, abs=0.05)


def test_the_language_is_found_out_on_as_little(directory: Path, encoded: list[int]) -> None:
    assert recognised(loaded(directory), 2.0, language="auto").language == "ja"
    assert encoded == [pytest.approx(positions(2.0), abs=1)] * 2


def test_a_long_utterance_is_encoded_as_ever(directory: Path, encoded: list[int]) -> None:
    """Where the margin does not fit into 30 s it is as long as that leaves."""
    recognised(loaded(directory), 29.8)
    assert encoded[0] == WHOLE


@pytest.mark.parametrize("windows", [(), (2,)])
def test_padding_is_told_from_sound(windows: tuple[int, ...]) -> None:
    """By its frames of zeros, of all windows together; zeros within the sound stay."""
    features = np.zeros((*windows, 80, 3000), np.float32)
    features[..., 7, :300] = 0.5
    features[..., :, 100:200] = 0.0
    if windows:
        features[1, 3, 349] = -0.5
    assert shortened(features, 1.0).shape == (*windows, 80, 450 if windows else 400)
    assert shortened(features, 30.0).shape == features.shape
    assert shortened(np.zeros_like(features), 1.0).shape == (*windows, 80, 100)


# --- how much may be written -------------------------------------------------------------------------


def test_tokens_and_attempts_follow_from_the_length() -> None:
    assert [most_tokens(seconds) for seconds in (0.0, 1.0, 5.0, 30.0)] == [20, 40, 120, MOST_TOKENS]
    assert [most_temperatures(seconds) for seconds in (0.3, 1.9, 2.0, 30.0)] == [1, 1, 2, 30]


@pytest.mark.parametrize("prompt", [0, 3, 54, 220])
@pytest.mark.parametrize("most", [1, 20, 45])
def test_the_bound_is_what_the_decoder_keeps_to(talkative: Path, most: int, prompt: int) -> None:
    """Whatever stands before the text: CTranslate2 counts it in its own way."""
    whisper = loaded(talkative)._whisper
    told = [50361, *[100] * prompt, 50258, 50266, 50359] if prompt else [50258, 50266, 50359]
    length = len(told) + short_context.new_tokens(most, len(told))
    output = whisper.encode(np.zeros((80, 3000), np.float32))
    (result,) = whisper.model.generate(output, [told], beam_size=1, max_length=length)
    assert len(result.sequences_ids[0]) == most


def test_the_fullest_prompt_leaves_room() -> None:
    """faster-whisper refuses more than 448 positions for prompt and text together."""
    assert all(prompt + short_context.new_tokens(MOST_TOKENS, prompt) <= 448 for prompt in range(228))


def test_more_than_can_be_said_is_left_out_with_its_reason(talkative: Path) -> None:
    """Half a second does not hold 120 pieces; ten seconds may."""
    engine = loaded(talkative)
    with capture_logs() as lines:
        assert recognised(engine, 0.5).segments == ()
    assert [(line["event"], line["reason"], line["audio_s"]) for line in lines] == [
        ("text_left_out", "it does not end", 0.5)
    ]
    assert "".join(segment.text for segment in recognised(engine, 10.0).segments) == LONG


@pytest.mark.parametrize("seconds", [3.0, 12.0])
def test_a_job_that_does_not_get_on_ends(
    directory: Path, attempts: list[tuple[int, float]], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each window moves by what the model says, which may be a hundredth of a second."""
    engine = loaded(directory)
    split = engine._whisper._split_segments_by_timestamps

    def hardly(**given: Any) -> tuple[Any, int, bool]:
        return split(**given)[0], given["seek"] + 1, True

    monkeypatch.setattr(engine._whisper, "_split_segments_by_timestamps", hardly)
    with capture_logs() as lines:
        recognised(engine, seconds)
    assert len(attempts) <= seconds + 1
    assert [line["reason"] for line in lines] == ["it does not get on"]


# --- what is doubtful --------------------------------------------------------------------------------


DOUBT_ALL = {"log_prob_threshold": 0.0, "no_speech_threshold": 1.0, "temperatures": (0.0, 0.2, 0.4, 0.6)}


@pytest.mark.parametrize(("seconds", "temperatures"), [(0.7, []), (2.5, [0.2]), (12.0, [0.2, 0.4, 0.6])])
def test_a_doubtful_text_is_looked_for_in_30_s_and_then_at_higher_temperatures(
    directory: Path, attempts: list[tuple[int, float]], seconds: float, temperatures: list[float]
) -> None:
    """The fewer of them, the shorter the audio is."""
    recognised(loaded(directory, **DOUBT_ALL), seconds)
    assert attempts[0] == (pytest.approx(positions(seconds), abs=1), 0.0)
    assert attempts[1:] == [(WHOLE, temperature) for temperature in (0.0, *temperatures)]


def test_a_certain_text_is_looked_for_once(directory: Path, attempts: list[tuple[int, float]]) -> None:
    recognised(loaded(directory), 6.0)
    assert len(attempts) == 1


def test_an_improbable_text_of_some_length_is_kept(directory: Path) -> None:
    """That of a short sound, looked for once, is left out."""
    engine = loaded(directory, **{**DOUBT_ALL, "temperatures": (0.0,)})
    with capture_logs() as lines:
        assert recognised(engine, 1.5).segments == ()
        assert recognised(engine, 6.0).segments[0].text == TEXT
    assert [line["reason"] for line in lines] == ["it is improbable"]


def test_an_improbable_text_of_a_short_sound_is_kept_where_two_windows_agree(directory: Path) -> None:
    """As on はい, which is short for Whisper."""
    assert recognised(loaded(directory, **DOUBT_ALL), 1.5).segments[0].text == TEXT


@pytest.mark.parametrize(
    ("texts", "same"),
    [
        (["はい", "はい。"], True),
        (["タイト", "タイプ"], False),
        (["はい"], False),
        (["。。", "。"], False),
        ([], False),
    ],
)
def test_attempts_agree_by_their_letters(texts: list[str], same: bool) -> None:
    assert agree(texts) is same


def test_what_repeats_itself_every_time_is_left_out(directory: Path) -> None:
    """However long the audio is, with one attempt or all of them."""
    for temperatures in ((0.0,), (0.0, 0.2, 0.4)):
        engine = loaded(directory, compression_ratio_threshold=1.01, temperatures=temperatures)
        with capture_logs() as lines:
            assert recognised(engine, 12.0).segments == ()
        assert [line["reason"] for line in lines] == ["it repeats itself"]


@pytest.mark.parametrize(
    ("tokens", "log_prob", "no_speech", "compression", "doubt"),
    [
        (10, -0.5, 0.9, 1.0, None),
        (10, -1.5, 0.9, 9.9, None),
        (10, -1.5, 0.1, 1.0, "it is improbable"),
        (10, -0.5, 0.1, 2.5, "it repeats itself"),
        (60, -0.5, 0.1, 1.0, "it does not end"),
    ],
)
def test_doubts(tokens: int, log_prob: float, no_speech: float, compression: float, doubt: str | None) -> None:
    """By the configured thresholds; improbable where probably nothing was said is silence, which is certain enough."""
    options = SimpleNamespace(log_prob_threshold=-1.0, no_speech_threshold=0.6, compression_ratio_threshold=2.4)
    result = SimpleNamespace(sequences_ids=[[0] * tokens], no_speech_prob=no_speech)
    assert doubt_about((result, log_prob, 0.0, compression), 60, options) == doubt


def test_a_text_as_long_as_whisper_writes_ends_there() -> None:
    """Of 30 s that are full of speech."""
    options = SimpleNamespace(log_prob_threshold=-1.0, no_speech_threshold=0.6, compression_ratio_threshold=2.4)
    result = SimpleNamespace(sequences_ids=[[0] * MOST_TOKENS], no_speech_prob=0.1)
    assert doubt_about((result, -0.5, 0.0, 1.0), MOST_TOKENS, options) is None


# --- a cancelled job ---------------------------------------------------------------------------------


@pytest.fixture
def engine(directory: Path) -> Iterator[FasterWhisper]:
    engine = loaded(directory, **DOUBT_ALL)
    yield engine
    engine.stop_when(lambda: False)


@pytest.mark.parametrize("wanted", [0, 1, 3])
def test_a_job_that_is_cancelled_is_given_up_before_the_next_attempt(
    engine: FasterWhisper, attempts: list[tuple[int, float]], wanted: int
) -> None:
    engine.stop_when(lambda: len(attempts) >= wanted)
    with pytest.raises(JobCancelled):
        recognised(engine, 12.0)
    assert len(attempts) == wanted
    engine.stop_when(lambda: False)
    assert recognised(engine, 12.0).segments[0].text == TEXT
