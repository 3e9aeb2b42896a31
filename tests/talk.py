"""A short talk of two people, who take turns, and how well what was heard of it fits."""

from collections.abc import Sequence

import numpy as np

from tests import wire
from wernicke_daemon.evaluation.scoring import Spoken, score

PAUSE = np.zeros(24_000, np.float32)
TURNS = (0, 3, 5)
"""Of the bundled clip."""

TALK = np.concatenate([part for number in TURNS for part in (wire.turn(number), PAUSE)])
"""16 kHz mono."""


def is_right(heard: Sequence[Spoken]) -> bool:
    """The words are those that were said, and by whom, as far as the embedded engines go."""
    turns = [wire.REFERENCE["turns"][number] for number in TURNS]
    judged = score([Spoken(turn["speaker"], turn["text"]) for turn in turns], list(heard))
    return judged.error_rate < 0.4 and judged.speaker_errors < 0.1 * judged.compared
