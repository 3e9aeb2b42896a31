"""What pyannote found, as the result of a diarization stage. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ipc.messages import DiarizationResult, Piece, Turn

SMALLEST_LENGTH = 1e-6
"""Of an embedding that says something. pyannote fills up with zeros where it has more speakers than voices."""

Embeddings = NDArray[np.floating[Any]]
"""[speakers, dimensions]"""


class FoundTurn(NamedTuple):
    """start, end: seconds from the start of the audio, perhaps past its end. label: pyannote's name of the speaker."""

    start: float
    end: float
    label: str


def to_result(
    found: Iterable[FoundTurn], labels: Sequence[str], embeddings: Embeddings, duration_s: float, same_voice: float
) -> DiarizationResult:
    """A result whose speakers are numbered in order of appearance, so that who speaks first is named first.

    found: in time order. labels: of the rows of `embeddings`; a label without a row becomes a speaker without
    embedding. One piece for each speaker. duration_s: of the audio, which turns are kept within.
    """
    turns = separate(found, duration_s)
    speakers = list(dict.fromkeys([*(turn.label for turn in turns), *labels]))
    rows = dict(zip(labels, embeddings, strict=False))
    return DiarizationResult(
        turns=tuple(Turn(turn.start, turn.end, speakers.index(turn.label)) for turn in turns),
        pieces=tuple(
            piece(number, [turn for turn in turns if turn.label == label], usable(rows[label]) if label in rows else ())
            for number, label in enumerate(speakers)
        ),
        same_voice=same_voice,
    )


def piece(speaker: int, turns: Sequence[FoundTurn], embedding: tuple[float, ...]) -> Piece:
    """All that one speaker says; without turns it is empty."""
    start, end = (turns[0].start, turns[-1].end) if turns else (0.0, 0.0)
    return Piece(start, end, speaker, sum(turn.end - turn.start for turn in turns), embedding)


def separate(found: Iterable[FoundTurn], duration_s: float) -> list[FoundTurn]:
    """The turns within the audio, none of them empty.

    Each begins where the one before has ended: pyannote's exclusive turns overlap where the model's
    `min_duration_off` closes gaps.
    """
    turns: list[FoundTurn] = []
    earliest = 0.0
    for turn in found:
        start, end = max(turn.start, earliest), min(turn.end, duration_s)
        if start < end:
            turns.append(FoundTurn(start, end, turn.label))
            earliest = end
    return turns


def usable(row: Embeddings) -> tuple[float, ...]:
    """The embedding; () where it says nothing, which pyannote marks by NaN or zeros after too little clean speech."""
    length = float(np.linalg.norm(row))
    return tuple(row.tolist()) if SMALLEST_LENGTH < length < np.inf else ()
