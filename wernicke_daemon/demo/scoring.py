"""How well a transcript agrees with a reference: word error rate, and words put to the wrong speaker. Pure."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import jiwer


@dataclass(frozen=True)
class Spoken:
    """What one speaker said in one go. speaker: None where it is not known."""

    speaker: str | None
    text: str


@dataclass(frozen=True)
class Score:
    """word_error_rate: substitutions, deletions and insertions per reference word.

    words: of the reference. compared: reference words that were recognised, rightly or not. speaker_errors: those of
    them whose speaker disagrees under the best one-to-one mapping of labels to voices; over `compared` this is
    the word diarization error rate of Shafey et al., Interspeech 2019 (arXiv 1907.05337).
    """

    word_error_rate: float
    words: int
    compared: int
    speaker_errors: int


def score(reference: Sequence[Spoken], result: Sequence[Spoken]) -> Score:
    """Both in the order in which it was said; the reference must hold a word. Raises ValueError if it does not."""
    said, recognised = _words(reference), _words(result)
    aligned = jiwer.process_words(_joined(said), _joined(recognised))
    pairs = [
        (said[chunk.ref_start_idx + i].speaker, recognised[chunk.hyp_start_idx + i].speaker)
        for chunk in aligned.alignments[0]
        if chunk.type in ("equal", "substitute")
        for i in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]
    return Score(aligned.wer, len(said), len(pairs), len(pairs) - _agreeing(pairs))


def normalise(text: str) -> str:
    """Lower case, without punctuation (apostrophes within words stay), single blanks."""
    return " ".join(re.findall(r"\w+(?:'\w+)*", text.lower().replace("’", "'")))


def _words(spoken: Sequence[Spoken]) -> list[Spoken]:
    return [Spoken(each.speaker, word) for each in spoken for word in normalise(each.text).split()]


def _joined(words: Sequence[Spoken]) -> str:
    return " ".join(word.text for word in words)


def _agreeing(pairs: Sequence[tuple[str | None, str | None]]) -> int:
    """Pairs of (voice, label) that agree under the best mapping. Tries all: for a handful of speakers."""
    counts = Counter((voice, label) for voice, label in pairs if label is not None)
    voices = sorted({str(voice) for voice, _ in pairs})
    labels = sorted({str(label) for _, label in counts})
    if len(labels) < len(voices):
        mappings = (zip(order, labels, strict=False) for order in itertools.permutations(voices, len(labels)))
    else:
        mappings = (zip(voices, order, strict=False) for order in itertools.permutations(labels, len(voices)))
    return max(sum(counts[pair] for pair in mapping) for mapping in mappings)
