"""What one recording amounts to, as counts that add up over recordings, and the figures made of them. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from statistics import median, quantiles
from typing import Any, NamedTuple

from wernicke_daemon.client import ParsedMessage
from wernicke_daemon.evaluation.diarization import NEVER, SpeakerTime
from wernicke_daemon.evaluation.reference import Reference, Stretch, Turn
from wernicke_daemon.evaluation.scoring import Spoken, Unit, score, split
from wernicke_daemon.formats.subtitles import cues

NEAR_S = 0.5
"""A word so near to speech is no invented one: where exactly words begin is another question."""
FLIP_S = 1.0
"""A shorter turn has too few words for its label to mean much."""


class HeardWord(NamedTuple):
    """start, end: seconds of the recording."""

    start: float
    end: float
    speaker: str | None
    text: str


@dataclass(frozen=True)
class Heard:
    """What the daemon made of a recording. finals: with the speakers as they are known at its end; at_first: as they
    came, () where nobody was named anew. arrived: of each final, seconds after the first sample was sent; empty where
    it was not sent in real time. refused: corrections that were turned down, by the log."""

    finals: Sequence[ParsedMessage]
    arrived: Sequence[float]
    audio_s: float
    refused: int = 0
    at_first: Sequence[ParsedMessage] = ()


@dataclass
class Counts:
    """Of one recording, or of several together: `add`. What a reference does not say has no units. Seconds."""

    audio_s: float = 0.0
    utterances: int = 0
    chars: int = 0  # of the reference
    char_errors: int = 0
    char_errors_before: int = 0  # without the corrections
    words: int = 0  # of references in languages that divide words
    word_errors: int = 0
    compared: int = 0  # recognised units of which the speaker is known
    speaker_right: int = 0
    speaker_right_at_first: int = 0  # as told with the final
    flips: int = 0  # turns whose label is not that of the speaker's turn before
    turns_labelled: int = 0
    quiet_s: float = 0.0  # nobody speaks
    invented: int = 0  # characters within
    corrected: int = 0
    refused: int = 0
    first_word_s: list[float] = field(default_factory=list)  # start of a turn's first word minus the turn's
    last_word_s: list[float] = field(default_factory=list)
    delay_s: list[float] = field(default_factory=list)  # from the end of speech to the final
    latency_s: list[float] = field(default_factory=list)  # from the trigger to the final, by the daemon's clock
    strict: SpeakerTime = NEVER
    lenient: SpeakerTime = NEVER

    def add(self, other: "Counts") -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


def count(reference: Reference, heard: Heard, unit: Unit) -> Counts:
    """All but the diarization error, which takes `diarization`."""
    counts = Counts(audio_s=heard.audio_s, utterances=len(heard.finals), refused=heard.refused)
    words = words_of(heard.finals)
    _texts(counts, reference, heard, unit)
    _invented(counts, reference, heard, words)
    _times(counts, reference, words)
    _delays(counts, reference, heard)
    return counts


def words_of(finals: Sequence[ParsedMessage]) -> list[HeardWord]:
    """By time; of a segment whose words have no times, all of it as one."""
    found = []
    for final in finals:
        at = float(final["timestamp_range"]["start"])
        for segment in final["segments"]:
            parts = segment["words"] or [{**segment, "word": segment["text"]}]
            found += [
                HeardWord(at + part["start"], at + part["end"], part.get("speaker") or segment["speaker"], part["word"])
                for part in parts
            ]
    return sorted(found, key=lambda word: word.start)


def as_recognised(finals: Sequence[ParsedMessage]) -> list[ParsedMessage]:
    """The finals as they would be without corrections."""
    return [
        {**final, "segments": [{**one, "text": one.get("original_text") or one["text"]} for one in final["segments"]]}
        for final in finals
    ]


def _texts(counts: Counts, reference: Reference, heard: Heard, unit: Unit) -> None:
    if not reference.turns or not any(split(turn.text, "character") for turn in reference.turns):
        return
    said = [Spoken(turn.speaker, turn.text) for turn in reference.turns]
    result, before = _spoken(heard.finals), _spoken(as_recognised(heard.finals))
    by_char = score(said, result, "character")
    counts.chars, counts.char_errors = by_char.units, by_char.errors
    counts.char_errors_before = score(said, before, "character").errors
    by_unit = by_char if unit == "character" else score(said, result, "word")
    if unit == "word":
        counts.words, counts.word_errors = by_unit.units, by_unit.errors
    if all(turn.speaker for turn in reference.turns):
        counts.compared, counts.speaker_right = by_unit.compared, by_unit.compared - by_unit.speaker_errors
        first = score(said, _spoken(heard.at_first or heard.finals), unit)
        counts.speaker_right_at_first = first.compared - first.speaker_errors
    counts.corrected = sum(bool(one.get("original_text")) for final in heard.finals for one in final["segments"])


def _spoken(finals: Sequence[ParsedMessage]) -> list[Spoken]:
    return [Spoken(cue.speaker, cue.text) for cue in cues(finals)]


def _invented(counts: Counts, reference: Reference, heard: Heard, words: Sequence[HeardWord]) -> None:
    speech = _spans(reference)
    if speech is None:
        return
    spans = _joined([(start - NEAR_S, end + NEAR_S) for start, end in speech])
    spoken = sum(min(end, heard.audio_s) - max(0.0, start) for start, end in spans)
    counts.quiet_s = max(0.0, heard.audio_s - spoken)
    stray = [word for word in words if not any(start < word.end and word.start < end for start, end in spans)]
    counts.invented = sum(len(split(word.text, "character")) for word in stray)


def _spans(reference: Reference) -> list[tuple[float, float]] | None:
    """When somebody speaks; None where that is not known."""
    if reference.speech is not None:
        return [(one.start, one.end) for one in reference.speech]
    turns = reference.turns or ()
    if reference.turns is None or any(turn.end is None for turn in turns):
        return None
    return [span for turn in turns for span in turn.speech]


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _times(counts: Counts, reference: Reference, words: Sequence[HeardWord]) -> None:
    """Word times of turns that nobody else speaks into, and whether a speaker keeps the label."""
    turns = [turn for turn in reference.turns or () if turn.start is not None and turn.end is not None]
    of_turn: dict[int, list[HeardWord]] = defaultdict(list)
    for word in words if turns else ():
        if split(word.text, "character"):
            of_turn[_nearest(turns, (word.start + word.end) / 2)].append(word)
    before: dict[str | None, str] = {}
    for number, turn in enumerate(turns):
        inside = of_turn[number]
        if not inside or _length(turn) < FLIP_S:
            continue
        if not any(_touch(turn, other) for other in turns if other is not turn):
            counts.first_word_s.append(inside[0].start - (turn.start or 0))
            counts.last_word_s.append(max(word.end for word in inside) - (turn.end or 0))
        label = _most(inside)
        if turn.speaker and label:
            counts.turns_labelled += 1
            counts.flips += before.get(turn.speaker, label) != label
            before[turn.speaker] = label


def _nearest(turns: Sequence[Turn], at: float) -> int:
    return min(range(len(turns)), key=lambda i: max((turns[i].start or 0) - at, at - (turns[i].end or 0), 0.0))


def _length(turn: Turn) -> float:
    return (turn.end or 0) - (turn.start or 0)


def _touch(one: Turn, other: Turn) -> bool:
    return (one.start or 0) < (other.end or 0) and (other.start or 0) < (one.end or 0)


def _most(words: Sequence[HeardWord]) -> str | None:
    """The label of the most characters."""
    by_label: dict[str, int] = defaultdict(int)
    for word in words:
        if word.speaker:
            by_label[word.speaker] += len(split(word.text, "character"))
    return max(by_label, key=by_label.__getitem__) if by_label else None


def _delays(counts: Counts, reference: Reference, heard: Heard) -> None:
    """Only of utterances that an end of speech by the reference lies in."""
    if not heard.arrived:
        return
    ends = [end for _, end in _spans(reference) or ()]
    for final, arrived in zip(heard.finals, heard.arrived, strict=True):
        counts.latency_s.append(final["latency_ms"] / 1000)
        start, end = final["timestamp_range"]["start"], final["timestamp_range"]["end"]
        if inside := [one for one in ends if start <= one <= end]:
            counts.delay_s.append(arrived - max(inside))


def heard_speech(finals: Sequence[ParsedMessage], pause_s: float = 0.5) -> list[Stretch]:
    """Who speaks when by the words: those of one label with pauses of less than pause_s between them are one stretch,
    as in the references of the usual corpora."""
    words = [word for word in words_of(finals) if word.speaker and word.end > word.start]
    stretches: list[Stretch] = []
    for before, word in pairwise([None, *words]):
        assert word is not None
        if before and before.speaker == word.speaker and word.start - stretches[-1].end < pause_s:
            stretches[-1] = stretches[-1]._replace(end=max(word.end, stretches[-1].end))
        else:
            stretches.append(Stretch(word.start, word.end, str(word.speaker)))
    return stretches


# --- figures ---------------------------------------------------------------------------------------


def figures(counts: Counts) -> dict[str, Any]:
    """Shares from 0 to 1 (error rates may be above), seconds. None for what was not measured."""
    before, after = (_share(n, counts.chars) for n in (counts.char_errors_before, counts.char_errors))
    return {
        "audio_s": round(counts.audio_s, 2),
        "utterances": counts.utterances,
        "cer": after,
        "wer": _share(counts.word_errors, counts.words),
        "speakers_right": _share(counts.speaker_right, counts.compared),
        "speakers_right_at_first": _share(counts.speaker_right_at_first, counts.compared),
        "label_flips": counts.flips if counts.turns_labelled else None,
        "der": counts.strict.rate,
        "confusion": counts.strict.confusion_rate,
        "diarization": {"strict": counts.strict.told(), "lenient": counts.lenient.told()},
        "invented_chars": counts.invented if counts.quiet_s else None,
        "invented_chars_per_minute": _share(60 * counts.invented, counts.quiet_s),
        "quiet_s": round(counts.quiet_s, 2),
        "correction": {
            "accepted": counts.corrected,
            "refused": counts.refused,
            "cer_before": before,
            "cer_after": after,
        },
        "word_times": {"first_word_s": _spread(counts.first_word_s), "last_word_s": _spread(counts.last_word_s)},
        "latency": {"speech_end_to_final_s": _spread(counts.delay_s), "trigger_to_final_s": _spread(counts.latency_s)},
    }


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    """Median and 95th percentile, both of the amount."""
    if not values:
        return None
    amounts = [abs(value) for value in values]
    high = quantiles(amounts, n=20, method="inclusive")[-1] if len(amounts) > 1 else amounts[0]
    return {
        "median": round(median(values), 3),
        "median_amount": round(median(amounts), 3),
        "p95_amount": round(high, 3),
    }
