"""The embedded recogniser: words and times on clear speech, independence of jobs, and honest refusals."""

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pocketsphinx
import pytest
from jiwer import wer

from ipc.audio_handle import Audio, AudioHandle
from ipc.errors import EngineFailed, EngineUnavailable
from ipc.messages import AsrResult, AsrWork, DiarizationWork, Word
from ipc.settings import AsrSettings, StageSettings
from stages.asr.pocketsphinx import PocketSphinx, log_prob, score, split_at_pauses, to_int16

DEMO = Path(__file__).resolve().parents[2] / "wernicke_daemon" / "demo"
RATE = 16_000
MAX_WER = 0.05
"""Above what the engine reaches on the clip, below one wrong word in ten."""


@pytest.fixture(scope="module")
def utterances() -> list[tuple[Audio, str]]:
    """The clip's turns with a little room around each, and what is said in them."""
    with av.open(str(DEMO / "clip.flac")) as file:
        samples = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)[0]
    audio = np.asarray(samples / 32768, dtype=np.float32)
    turns = json.loads((DEMO / "reference.json").read_text(encoding="utf-8"))["turns"]
    return [(audio[int((t["start"] - 0.3) * RATE) : int((t["end"] + 0.3) * RATE)], t["text"]) for t in turns]


@pytest.fixture(scope="module")
def engine() -> PocketSphinx:
    return loaded()


def loaded() -> PocketSphinx:
    engine = PocketSphinx("asr", in_language("en"))
    engine.load()
    engine.warm_up()
    return engine


def in_language(language: str) -> StageSettings:
    return StageSettings(asr=AsrSettings(language=language))


def recognised(engine: PocketSphinx, audio: Audio, language: str = "en") -> AsrResult:
    work = AsrWork(AudioHandle("arena", 0, 1, 0, len(audio)), language)
    return engine.process(work, lambda handle: audio)


def text(result: AsrResult) -> str:
    return " ".join(segment.text for segment in result.segments)


def test_below_a_path_that_no_code_page_spells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, utterances: list[tuple[Audio, str]]
) -> None:
    """As of a user whose name is Chinese, or of two words; where the process stands is as before."""
    model = tmp_path / "田中 é" / "en-us"
    shutil.copytree(pocketsphinx.get_model_path("en-us"), model)
    monkeypatch.setattr(pocketsphinx, "get_model_path", lambda name: str(model.parent / name))
    before = Path.cwd()
    audio, said = utterances[0]
    assert text(recognised(loaded(), audio)) == said
    assert Path.cwd() == before


def test_clear_speech_comes_back_word_for_word(engine: PocketSphinx, utterances: list[tuple[Audio, str]]) -> None:
    """The bundled clip's two voices are recognised nearly without error."""
    results = [text(recognised(engine, audio)) for audio, _ in utterances]
    assert wer([reference for _, reference in utterances], results) <= MAX_WER


def test_a_job_gives_the_same_result_after_any_other_job(utterances: list[tuple[Audio, str]]) -> None:
    """A, a loud noisy B, A in one process: both As equal each other and a fresh process's, scores included."""
    engine = loaded()
    one, other = utterances[0][0], utterances[3][0]
    first = recognised(engine, one)
    noise = np.random.default_rng(1).standard_normal(len(other)).astype(np.float32)
    recognised(engine, other * np.float32(3) + noise * np.float32(0.3))
    assert recognised(engine, one) == first == recognised(loaded(), one)


def test_words_lie_in_order_within_the_audio_and_spell_the_text(
    engine: PocketSphinx, utterances: list[tuple[Audio, str]]
) -> None:
    """Every word has its place in the utterance; joined they are the segment's text, without fillers or variants."""
    audio, _ = utterances[1]
    for segment in recognised(engine, audio).segments:
        times = [time for word in segment.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert 0 <= segment.start == times[0] < times[-1] == segment.end <= len(audio) / RATE
        assert "".join(word.text for word in segment.words) == segment.text
        assert all(character.islower() or character in " '." for character in segment.text)
        assert all(0 <= word.score <= 1 for word in segment.words)


def test_words_are_timed_where_they_are_said(engine: PocketSphinx, utterances: list[tuple[Audio, str]]) -> None:
    """One second more of silence before an utterance moves every word by that second."""
    audio, _ = utterances[5]
    silence = np.random.default_rng(2).standard_normal(RATE).astype(np.float32) * np.float32(0.0003)
    (plain,), (later,) = (recognised(engine, a).segments for a in (audio, np.concatenate([silence, audio])))
    assert later.text == plain.text
    assert later.start - plain.start == pytest.approx(1.0, abs=0.1)


def test_a_pause_within_an_utterance_begins_a_new_segment(
    engine: PocketSphinx, utterances: list[tuple[Audio, str]]
) -> None:
    """Two sentences a second apart are two segments, each with its own text and times."""
    (one, said), (other, also) = utterances[5], utterances[6]
    silence = np.random.default_rng(2).standard_normal(RATE).astype(np.float32) * np.float32(0.0003)
    first, second = recognised(engine, np.concatenate([one, silence, other])).segments
    assert (first.text, second.text) == (said, also)
    assert second.start - first.end >= 1.0


def test_split_at_pauses_needs_half_a_second() -> None:
    """A pause of exactly half a second splits, a shorter one does not; blanks lead all words but a segment's first."""
    words = [Word(0.1, 0.3, " a", 1.0), Word(0.79, 0.9, " b", 1.0), Word(1.4, 1.6, " c", 1.0)]
    assert [(s.start, s.end, s.text) for s in split_at_pauses(words)] == [(0.1, 0.9, "a b"), (1.4, 1.6, "c")]
    assert split_at_pauses([]) == ()


def test_what_a_word_says_for_itself(engine: PocketSphinx, utterances: list[tuple[Audio, str]]) -> None:
    """Nobody says "if" for 25 s, however sure the decoder is. Of clear speech it is sure."""
    assert score(1.0, 25.0, 2) == 0.0 and score(1.003, 0.6, 2) == 1.0 and score(0.4, 0.3, 2) == 0.4
    assert log_prob([]) == 0.0 and log_prob([Word(0, 25, " if", 0.0), Word(25, 26, " it", 1.0)]) < -4
    [segment] = recognised(engine, utterances[0][0]).segments
    assert -0.5 < segment.log_prob < 0


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(0, np.float32),
        np.zeros(RATE, np.float32),
        np.full(3, 0.1, np.float32),
        np.random.default_rng(3).standard_normal(RATE).astype(np.float32) * np.float32(0.001),
    ],
    ids=["empty", "digital silence", "three samples", "quiet noise"],
)
def test_no_speech_gives_no_segments(engine: PocketSphinx, audio: Audio) -> None:
    """Nothing said, nothing written, and no error."""
    assert recognised(engine, audio).segments == ()


def test_audio_beyond_full_scale_is_recognised(engine: PocketSphinx, utterances: list[tuple[Audio, str]]) -> None:
    """Floats far above 1.0 are neither cut off nor wrapped round."""
    audio, reference = utterances[0]
    assert text(recognised(engine, audio * np.float32(20))) == reference


def test_full_scale_samples_do_not_wrap_round() -> None:
    """-1.0 and 1.0 are the ends of the range; what is beyond scales everything down."""
    assert to_int16(np.array([-1, 0, 1], np.float32)).tolist() == [-32767, 0, 32767]
    assert to_int16(np.array([-2, 1], np.float32)).tolist() == [-32767, 16384]


def test_a_live_job_gives_the_text_alone(engine: PocketSphinx, utterances: list[tuple[Audio, str]]) -> None:
    """The same text as a firm one, without words."""
    audio, reference = utterances[5]
    work = AsrWork(AudioHandle("arena", 0, 1, 0, len(audio)), "en", kind="live")
    result = engine.process(work, lambda handle: audio)
    assert (text(result), result.alignment) == (reference, "none")
    assert not any(segment.words for segment in result.segments)


def test_another_language_stops_the_start_with_the_ways_out() -> None:
    """Japanese asked of the English engine is refused before anything is loaded."""
    with pytest.raises(EngineUnavailable, match=r"English only.*faster_whisper.*asr\.language = \"en\""):
        PocketSphinx("asr", in_language("ja")).load()


def test_a_client_that_speaks_another_language_is_refused(engine: PocketSphinx) -> None:
    """A session in Japanese gets an error, not English nonsense."""
    with pytest.raises(EngineFailed, match="English only"):
        recognised(engine, np.zeros(RATE, np.float32), language="ja")


def test_an_unknown_language_is_english(engine: PocketSphinx, utterances: list[tuple[Audio, str]]) -> None:
    """`auto` is served, and the result says English."""
    result = recognised(engine, utterances[5][0], language="auto")
    assert (result.language, result.language_probability, result.alignment) == ("en", 1.0, "pocketsphinx")


def test_other_work_is_refused(engine: PocketSphinx) -> None:
    """A job of another stage is a mistake that shows."""
    with pytest.raises(TypeError, match="DiarizationWork"):
        engine.process(DiarizationWork(AudioHandle("arena", 0, 1, 0, 0)), lambda handle: np.zeros(0, np.float32))
