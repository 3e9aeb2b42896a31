"""Utterances beside what was said in them, the worst first. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from wernicke_daemon.client import ParsedMessage
from wernicke_daemon.evaluation.reference import Turn
from wernicke_daemon.evaluation.scoring import Unit, aligned, split
from wernicke_daemon.formats.subtitles import cues


class Both(NamedTuple):
    """Units that stand for each other; "" where nothing does."""

    said: str
    heard: str


class Compared(NamedTuple):
    """An utterance. start, end: seconds of the recording. text: with its speakers, as a client gets it."""

    start: float
    end: float
    text: str
    pairs: tuple[Both, ...]

    @property
    def errors(self) -> int:
        return sum(pair.said != pair.heard for pair in self.pairs)


def worst(turns: Sequence[Turn], finals: Sequence[ParsedMessage], unit: Unit, most: int) -> list[Compared]:
    """At most so many, and only those with errors; by the number of errors."""
    wrong = [one for one in compared(turns, finals, unit) if one.errors]
    return sorted(wrong, key=lambda one: -one.errors)[:most]


def compared(turns: Sequence[Turn], finals: Sequence[ParsedMessage], unit: Unit) -> list[Compared]:
    """All utterances. What was said and not heard is with the utterance before; before the first, with that."""
    said = [one for turn in turns for one in split(turn.text, unit)]
    heard = [(one, number) for number, final in enumerate(finals) for one in _units(final, unit)]
    of_utterance: list[list[Both]] = [[] for _ in finals]
    at = heard[0][1] if heard else 0
    for pair in aligned(said, [one for one, _ in heard]):
        if pair.heard is not None:
            at = heard[pair.heard][1]
        if finals:
            text = "" if pair.heard is None else heard[pair.heard][0]
            of_utterance[at].append(Both("" if pair.said is None else said[pair.said], text))
    return [_compared(final, pairs) for final, pairs in zip(finals, of_utterance, strict=True)]


def text_within(finals: Sequence[ParsedMessage], start: float, end: float) -> str:
    """What was heard in that time, with its speakers; seconds of the recording. Utterances of other settings begin and
    end elsewhere."""
    return "\n".join(cue.spoken for cue in cues(finals) if start < (cue.start + cue.end) / 2 < end)


def _units(final: ParsedMessage, unit: Unit) -> list[str]:
    return [one for cue in cues([final]) for one in split(cue.text, unit)]


def _compared(final: ParsedMessage, pairs: Sequence[Both]) -> Compared:
    span = final["timestamp_range"]
    text = "\n".join(cue.spoken for cue in cues([final]))
    return Compared(float(span["start"]), float(span["end"]), text, tuple(pairs))
