"""How well a transcript agrees with a reference: error rate, and what was put to the wrong speaker. Pure."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jiwer

from wernicke_daemon.utterances.voices_naming import assigned

Unit = Literal["word", "character"]
"""What is compared: words where blanks divide them, else characters."""

WITHOUT_BLANKS = frozenset({"ja", "zh", "yue", "th", "lo", "my", "km"})
"""Languages whose words no blank divides (ISO 639-1)."""

NORMALISATION = "NFKC, lower case, letters and digits only"


class Spoken(NamedTuple):
    """What one speaker said in one go. speaker: None where it is not known."""

    speaker: str | None
    text: str


class Pair(NamedTuple):
    """Two units that stand for each other, by their positions. None: nothing does."""

    said: int | None
    heard: int | None


@dataclass(frozen=True)
class Score:
    """errors: substitutions, deletions and insertions.

    units: of the reference. compared: those of them that were recognised, rightly or not. speaker_errors: those of
    these whose speaker disagrees under the best one-to-one mapping of labels to voices; over `compared` this is, for
    words, the word diarization error rate of Shafey et al., Interspeech 2019 (arXiv 1907.05337). labels: that mapping,
    by label; only of labels that agree with their voice somewhere.
    """

    errors: int
    units: int
    compared: int
    speaker_errors: int
    labels: Mapping[str, str]

    @property
    def error_rate(self) -> float:
        """Errors per unit of the reference; may be above 1."""
        return self.errors / self.units


def unit_of(language: str) -> Unit:
    return "character" if language in WITHOUT_BLANKS else "word"


def score(reference: Sequence[Spoken], result: Sequence[Spoken], unit: Unit = "word") -> Score:
    """Both in the order in which it was said; the reference must hold a unit. Raises ValueError if it does not."""
    said, heard = _units(reference, unit), _units(result, unit)
    if not said:
        raise ValueError("the reference holds no text")
    pairs = aligned([one.text for one in said], [one.text for one in heard])
    errors = sum(_text(said, pair.said) != _text(heard, pair.heard) for pair in pairs)
    both = [(said[p.said].speaker, heard[p.heard].speaker) for p in pairs if p.said is not None and p.heard is not None]
    labels = mapping(both)
    right = sum(label is not None and labels.get(label) == voice for voice, label in both)
    return Score(errors, len(said), len(both), len(both) - right, labels)


def split(text: str, unit: Unit) -> list[str]:
    """The units of a text, as NORMALISATION says. An apostrophe within a word belongs to it."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    if unit == "word":
        return re.findall(r"\w+(?:'\w+)*", text)
    return [character for character in text if character.isalnum()]


def aligned(said: Sequence[str], heard: Sequence[str]) -> list[Pair]:
    """With the fewest errors, in order: each unit of both once. No unit holds a blank."""
    if not said or not heard:
        return [Pair(i, None) for i in range(len(said))] + [Pair(None, i) for i in range(len(heard))]
    pairs = []
    for chunk in jiwer.process_words(" ".join(said), " ".join(heard)).alignments[0]:
        lengths = (chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
        for i in range(max(lengths)):
            at_said = chunk.ref_start_idx + i if i < lengths[0] else None
            pairs.append(Pair(at_said, chunk.hyp_start_idx + i if i < lengths[1] else None))
    return pairs


def mapping(pairs: Sequence[tuple[str | None, str | None]]) -> dict[str, str]:
    """Which voice each label stands for, so that the most pairs (voice, label) agree; one voice a label at most."""
    counts = Counter((voice, label) for voice, label in pairs if voice is not None and label is not None)
    voices, labels = sorted({voice for voice, _ in counts}), sorted({label for _, label in counts})
    if not counts:
        return {}
    agreeing = [[counts[voice, label] for label in labels] for voice in voices]
    label_of = zip(voices, assigned(agreeing), strict=True)
    return {labels[column]: voice for voice, column in label_of if column is not None}


def _units(spoken: Sequence[Spoken], unit: Unit) -> list[Spoken]:
    return [Spoken(each.speaker, one) for each in spoken for one in split(each.text, unit)]


def _text(units: Sequence[Spoken], at: int | None) -> str | None:
    return None if at is None else units[at].text
