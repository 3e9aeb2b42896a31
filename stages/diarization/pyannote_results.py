"""What pyannote found, as the result of a diarization stage. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ipc.messages import DiarizationResult, Turn

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
    embedding. duration_s: of the audio, which turns are kept within.
    """
    turns = separate(found, duration_s)
    speakers = list(dict.fromkeys([*(turn.label for turn in turns), *labels]))
    rows = dict(zip(labels, embeddings, strict=False))
    return DiarizationResult(
        turns=tuple(Turn(turn.start, turn.end, speakers.index(turn.label)) for turn in turns),
        embeddings=tuple(usable(rows[speaker]) if speaker in rows else () for speaker in speakers),
        same_voice=same_voice,
    )


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
