"""Answers that a job can have, and answers that it can't."""

import pytest

from ipc.audio_handle import AudioHandle
from ipc.messages import (
    AsrResult,
    AsrWork,
    CorrectionResult,
    CorrectionWork,
    DiarizationResult,
    DiarizationWork,
    IngestOutcome,
    IngestResult,
    IngestTask,
    IngestWork,
    Piece,
    Result,
    Turn,
    Work,
)
from wernicke_daemon.dispatch.answer_check import fits

AUDIO = AudioHandle("arena", 0, 1, 0, 16_000)


def asked(*sessions: str) -> IngestWork:
    return IngestWork(tuple(IngestTask(session, AUDIO, b"", None, 0.0) for session in sessions))


def found(*sessions: str) -> IngestResult:
    return IngestResult(tuple(IngestOutcome(session, 512, 0, b"", (), False) for session in sessions))


def voices(*speakers: int, known: int) -> DiarizationResult:
    """Turns of those pieces, where as many are known."""
    turns = tuple(Turn(float(at), at + 1.0, speaker) for at, speaker in enumerate(speakers))
    return DiarizationResult(turns, (Piece(0.0, 9.0, 0, 9.0, (1.0,)),) * known, 0.7)


INGEST = asked("a", "b")
ASR = AsrWork(AUDIO, "en")
DIARIZATION = DiarizationWork(AUDIO)
CORRECTION = CorrectionWork(("one", "two"), "en")

RIGHT: list[tuple[Work, Result]] = [
    (asked(), found()),
    (INGEST, found("a", "b")),
    (ASR, AsrResult("en", 1.0, (), "whisper")),
    (DIARIZATION, voices(known=0)),
    (DIARIZATION, voices(0, 1, 0, known=2)),
    (DIARIZATION, voices(0, known=3)),
    (CORRECTION, CorrectionResult(("One.", None))),
]
WRONG: list[tuple[Work, Result]] = [
    (INGEST, found("a")),
    (INGEST, found("a", "b", "c")),
    (INGEST, found("b", "a")),
    (INGEST, found("a", "x")),
    (DIARIZATION, voices(0, 1, known=1)),
    (DIARIZATION, voices(0, known=0)),
    (DIARIZATION, voices(-1, known=2)),
    (CORRECTION, CorrectionResult(())),
    (CORRECTION, CorrectionResult(("One.",))),
    (CORRECTION, CorrectionResult(("One.", None, None))),
]
RIGHT_OF_EACH = [RIGHT[1], RIGHT[2], RIGHT[4], RIGHT[6]]


@pytest.mark.parametrize(("work", "result"), RIGHT)
def test_right_answers_fit(work: Work, result: Result) -> None:
    """One outcome for each session in turn, a piece for each turn, a text or None for each text."""
    assert fits(work, result)


@pytest.mark.parametrize(("work", "result"), WRONG)
def test_wrong_counts_and_names_do_not(work: Work, result: Result) -> None:
    """Too few, too many, of others, or pointing at nothing."""
    assert not fits(work, result)


@pytest.mark.parametrize("work", [work for work, _ in RIGHT_OF_EACH])
def test_an_answer_to_another_stages_job_does_not(work: Work) -> None:
    """Only the right kind does."""
    kinds = [fits(work, result) for _, result in RIGHT_OF_EACH]
    assert kinds == [other is work for other, _ in RIGHT_OF_EACH]
