"""The way of an utterance through the stages."""

import pytest

from ipc.audio_handle import AudioHandle
from ipc.messages import (
    AsrResult,
    AsrWork,
    CorrectionResult,
    CorrectionWork,
    DiarizationWork,
    Result,
    Segment,
    StageName,
)
from tests.unit.dispatcher.world import HELLO, INGEST, POLICY, SILENCE, TURNS, World, utterance
from wernicke_daemon.utterances.pieces import Piece, StageTiming


def test_asr_and_diarization_side_by_side(world: World) -> None:
    """Both get the utterance at once; correction gets nothing yet."""
    submitted = world.submit()
    assert world.work("asr") == [AsrWork(submitted.audio, "en", ("Broca",))]
    assert world.work("diarization") == [DiarizationWork(submitted.audio)]
    assert world.work("correction") == []


def test_recognition_knows_where_there_is_speech_and_what_was_spoken_before(world: World) -> None:
    """Of its piece alone; the language only where it is to be recognised."""
    pieces = [Piece(AudioHandle("a", 0, 1, start, 16_000), "firm", ((8_000, 40_000),)) for start in (0, 32_000)]
    said = utterance(3, pieces=tuple(pieces))
    said.language = "auto"
    said.said.add(1, "bonjour", "fr")
    world.dispatcher.submit(said, world.client, world.now)
    assert [(work.speech, work.spoken) for work in world.work("asr")] == [(((0.5, 1.0),), "fr"), (((0.0, 0.5),), "fr")]


def test_a_job_may_take_longer_the_more_audio_it_has(world: World) -> None:
    """Its limit goes along: so much for any job, and so much for each second of its utterance."""
    world.submit()
    world.dispatcher.examine(INGEST, lambda result: None, world.now)
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    limits = {stage: port.sent[0].limit_s for stage, port in world.ports.items()}
    news_s = INGEST.tasks[0].audio.seconds
    assert limits == {"ingest": 120.0 + 20.0 * news_s, "asr": 140.0, "diarization": 140.0, "correction": 140.0}


@pytest.mark.parametrize("first", ["asr", "diarization"])
def test_they_meet_before_correction(world: World, first: StageName) -> None:
    """Whichever is ready first waits for the other; then one correction job carries the text and what was before."""
    world.submit()
    answers: list[tuple[StageName, Result]] = [("asr", HELLO), ("diarization", TURNS)]
    for stage, result in sorted(answers, key=lambda each: each[0] != first):
        assert world.work("correction") == []
        world.answer(stage, result)
    assert world.work("correction") == [CorrectionWork(("hello",), "en", ("Broca",), ("before 1",))]


def test_a_complete_result(world: World) -> None:
    """Settled once, with what every stage found and nothing to warn of."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    assert world.settled == []
    world.now += 3.0
    world.answer("correction", CorrectionResult(("Hello.",)))
    assert world.client.results == [submitted]
    assert [line.piece for line in submitted.lines] == [3]
    assert submitted.correction == CorrectionResult(("Hello.",))
    assert (submitted.warnings, submitted.failure, submitted.settled) == ([], None, 1003.0)


def test_the_text_is_announced_without_waiting(world: World) -> None:
    """The recognised text goes out while diarization is still at work."""
    world.submit()
    world.answer("asr", HELLO)
    assert world.client.texts == [1]
    assert world.settled == []


def test_audio_is_released_at_the_join(world: World) -> None:
    """Correction reads no audio: it is given up as soon as both that do are in."""
    world.submit()
    world.answer("asr", HELLO)
    assert world.client.released == []
    world.answer("diarization", TURNS)
    assert world.client.released == [1]


def test_stages_overlap(world: World) -> None:
    """While one utterance is corrected, the next are already recognised and diarized."""
    for _ in range(3):
        world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    assert len(world.work("correction")) == 1
    assert len(world.work("asr")) == POLICY.credit
    assert len(world.work("diarization")) == POLICY.credit


def test_warnings_of_engines_are_passed_on(world: World) -> None:
    """What recognition and correction say of themselves stands in the result."""
    submitted = world.submit()
    world.answer("asr", AsrResult("en", 1.0, HELLO.segments, "whisper", ("ALIGNMENT_UNAVAILABLE",)))
    world.answer("diarization", TURNS)
    world.answer("correction", CorrectionResult((None,), (), ("LLM_TIMEOUT",)))
    assert submitted.warnings == ["ALIGNMENT_UNAVAILABLE", "LLM_TIMEOUT"]


def test_nothing_said_settles_at_once(world: World) -> None:
    """Empty recognition ends the utterance: no lines, no correction, diarization is told not to bother."""
    submitted = world.submit()
    diarization = world.ports["diarization"].sent[0].job_id
    world.answer("asr", SILENCE)
    assert world.settled == [1]
    assert (submitted.lines, submitted.failure) == ((), None)
    assert world.client.texts == []
    assert world.ports["diarization"].cancelled == [diarization]
    world.answer("diarization", TURNS)
    assert world.settled == [1]
    assert world.ports["correction"].sent == []


def test_segments_without_text_are_nothing_said(world: World) -> None:
    """An empty segment is no text."""
    world.submit()
    world.answer("asr", AsrResult("en", 1.0, (Segment(0.0, 1.0, "", ()),), "whisper"))
    assert world.settled == [1]
    assert world.client.texts == []


def test_timings(world: World) -> None:
    """Each stage's waiting and work are kept with the utterance and told to the figures."""
    submitted = world.submit()
    world.now += 2.0
    world.answer("asr", HELLO, run_ms=1500.0)
    assert submitted.timings["asr"] == StageTiming(queued_ms=500.0, run_ms=1500.0, attempts=1, answered=world.now)
    assert world.jobs == [("asr", "firm", submitted.timings["asr"])]
