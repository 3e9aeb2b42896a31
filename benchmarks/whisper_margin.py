"""How much must Whisper be given? Texts, times and invented text by the margin behind the audio, by the kind of job.

    python benchmarks/whisper_margin.py MODEL --language ja --speech meeting.flac=meeting.json --noise noise.flac

MODEL: a directory, or a name of a model that is on this machine. Of each of these any number:

    --speech FILE=JSON   a recording and what is said in it: `turns`, each with `start`, `end` (seconds) and `text`
    --unread FILE        speech whose text is not known: how far its text is from the one that Whisper gives with 30 s
    --noise FILE         nobody speaks in it: every character is invented

Utterances are found by the daemon's own endpointing and recognised by its own engine, by one thread, one after another;
noise, which endpointing keeps from the recogniser, is cut into pieces.
Character error rate: NFKC, case folded, letters and digits only, over a whole recording (insertions included).
Word times: of turns of a second and more that touch no other turn, the first word's start and the last word's end.
Tokens per second: the most that a text with one attempt has, by the seconds of its audio and one more.
Times are those that the processor was at work, which other programs lengthen a little, not many times over.
"""

import argparse
import functools
import itertools
import json
import sys
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import report
from ipc.audio_handle import SAMPLE_RATE, Audio, AudioHandle
from ipc.messages import AsrResult, AsrWork, IngestTask, IngestWork, JobKind
from ipc.settings import AsrSettings, StageSettings, VadSettings
from stages.asr.faster_whisper import FasterWhisper
from stages.ingest.engine import SileroIngest

APART_S = 0.05
"""Turns with less than this between them touch."""
LONG_TURN_S = 1.0
SHORT_S = 2.0
ROLL_S = 0.3
"""Audio kept before and after a short turn, as endpointing does."""
PIECES_S = (1.0, 2.0, 4.0, 8.0)
"""Of noise."""
WHOLE_S = 30.0
"""The margin that leaves Whisper's window as it is."""


@dataclass(frozen=True)
class Case:
    """pause_s: ends an utterance; None takes short turns as the reference has them. longest_s: of an utterance.
    plain: faster-whisper's own decoding, without bounds."""

    kind: JobKind
    margin_s: float
    pause_s: float | None
    longest_s: float = 30.0
    plain: bool = False

    @property
    def name(self) -> str:
        bounds = ", as faster-whisper does it" if self.plain else ""
        cut = "short turns" if self.pause_s is None else f"pause {self.pause_s:g} s"
        return f"{self.kind}, {cut}, margin {self.margin_s:g} s{bounds}"


@dataclass(frozen=True)
class Recording:
    """turns: (start, end, text), in order; empty where what is said is not known. spoken: False where nobody speaks."""

    name: str
    audio: Audio
    turns: tuple[tuple[float, float, str], ...] = ()
    spoken: bool = True


@dataclass
class Heard:
    """Of one job. start: seconds in the recording. tokens: of its text; None where more than one was looked for."""

    start: float
    seconds: float
    took_s: float
    result: AsrResult
    tokens: int | None

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.result.segments)


@dataclass
class Clock:
    """By the name of CTranslate2's method. seconds: of the processor. tokens: of each text of the job under way."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: Counter[str] = field(default_factory=Counter)
    tokens: list[int] = field(default_factory=list)


class Timed:
    """CTranslate2's model, with a clock at what takes time."""

    def __init__(self, model: Any, clock: Clock) -> None:
        self._model = model
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._model, name)
        return functools.partial(self._call, name, value) if name in ("encode", "generate", "align") else value

    def _call(self, name: str, method: Callable[..., Any], *values: Any, **options: Any) -> Any:
        began = time.process_time()
        result = method(*values, **options)
        self._clock.seconds[name] += time.process_time() - began
        self._clock.calls[name] += 1
        if name == "generate":
            self._clock.tokens.append(len(result[0].sequences_ids[0]))
        return result


def main() -> None:
    options = arguments()
    engine = FasterWhisper("asr", settings(options))
    engine.load()
    engine.warm_up()
    recordings = list(read_all(options))
    rows = [measured(engine, case, recordings, options.language) for case in cases(options)]
    compare(rows)
    show(rows)
    report.save(options.json, {"model": engine.model, "cases": rows})


def arguments() -> argparse.Namespace:
    options = report.parser("Whisper by what it is given")
    options.add_argument("model")
    options.add_argument("--language", default="ja")
    options.add_argument("--compute-type", default="int8")
    options.add_argument("--speech", action="append", default=[], metavar="FILE=JSON")
    options.add_argument("--unread", action="append", default=[], metavar="FILE")
    options.add_argument("--noise", action="append", default=[], metavar="FILE")
    options.add_argument("--margins", type=float, nargs="*", default=[1.0, 2.0, 4.0, WHOLE_S])
    options.add_argument("--kinds", nargs="+", default=["firm", "phrases", "turns", "live"])
    options.add_argument("--plain", action="store_true", help="faster-whisper's own decoding as well")
    options.add_argument("--seconds", type=float, default=1e6, help="so much of each recording, for a quick look")
    return options.parse_args()


def settings(options: argparse.Namespace) -> StageSettings:
    return StageSettings(
        asr=AsrSettings(
            model=options.model,
            language=options.language,
            device="cpu",
            compute_type=options.compute_type,
            cpu_threads=1,
        )
    )


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """phrases: firm jobs for what lies between pauses of 0.5 s. turns: for short turns. live: phrases, at most 10 s."""
    pauses = {"firm": 2.0, "phrases": 0.5, "live": 0.5, "turns": None}
    for kind in options.kinds:
        for margin_s in options.margins:
            if kind == "live":
                yield Case("live", margin_s, pauses[kind], 10.0)
            else:
                yield Case("firm", margin_s, pauses[kind])
        if options.plain and kind != "live":
            yield Case("firm", WHOLE_S, pauses[kind], plain=True)


def read_all(options: argparse.Namespace) -> Iterator[Recording]:
    for given in options.speech:
        file, _, reference = given.partition("=")
        turns = json.loads(Path(reference).read_text(encoding="utf-8"))["turns"]
        spoken = sorted((turn["start"], turn["end"], turn["text"]) for turn in turns)
        within = tuple(turn for turn in spoken if turn[1] < options.seconds)
        yield Recording(Path(file).stem, read(file, options.seconds), within)
    for file in options.unread:
        yield Recording(Path(file).stem, read(file, options.seconds))
    for file in options.noise:
        yield Recording(Path(file).stem, read(file, options.seconds), spoken=False)


def read(file: str, seconds: float) -> Audio:
    from faster_whisper import decode_audio

    audio = decode_audio(file, sampling_rate=SAMPLE_RATE)
    return np.asarray(audio[: int(seconds * SAMPLE_RATE)], dtype=np.float32)


# --- measuring ---------------------------------------------------------------------------------------


def measured(engine: Any, case: Case, recordings: Sequence[Recording], language: str) -> dict[str, Any]:
    return {"case": case.name, "recordings": [run(engine, case, recording, language) for recording in recordings]}


def run(engine: Any, case: Case, recording: Recording, language: str) -> dict[str, Any]:
    clock = Clock()
    whisper, real = engine._whisper, engine._whisper.model
    whisper.margin_s, whisper.model = case.margin_s, Timed(real, clock)
    if case.plain:
        whisper.generate_with_fallback = super(type(whisper), whisper).generate_with_fallback
    try:
        recording = short_turns(recording) if case.pause_s is None else recording
        found = cut(recording, case)
        heard = [recognise(engine, case.kind, recording, at, language, clock) for at in found]
    finally:
        whisper.model = real
        whisper.__dict__.pop("generate_with_fallback", None)
    print(f"{case.name}: {recording.name}", file=sys.stderr, flush=True)
    return figures(recording, heard, clock)


def short_turns(recording: Recording) -> Recording:
    """Of turns that touch no other, those shorter than SHORT_S."""
    turns = [recording.turns[number] for number in alone(recording.turns)]
    return replace(recording, turns=tuple(turn for turn in turns if turn[1] - turn[0] < SHORT_S))


def cut(recording: Recording, case: Case) -> list[tuple[int, int]]:
    """First sample of each job's audio and the one after the last."""
    if not recording.spoken:
        return pieces(recording.audio)
    if case.pause_s is not None:
        return utterances(recording.audio, case)
    edges = ((max(0.0, start - ROLL_S), end + ROLL_S) for start, end, _ in recording.turns)
    return [(int(start * SAMPLE_RATE), int(end * SAMPLE_RATE)) for start, end in edges]


def utterances(audio: Audio, case: Case) -> list[tuple[int, int]]:
    """As the daemon finds them."""
    assert case.pause_s is not None
    vad = VadSettings(silence_s=case.pause_s, max_utterance_s=case.longest_s)
    ingest = SileroIngest("ingest", StageSettings(vad=vad))
    ingest.load()
    task = IngestTask("", AudioHandle("", 0, 0, 0, len(audio)), b"", "stop", 0.0)
    found = ingest.process(IngestWork((task,)), lambda part: audio[part.start : part.end])
    return [(boundary.start, boundary.end) for boundary in found.outcomes[0].boundaries]


def pieces(audio: Audio) -> list[tuple[int, int]]:
    """Of sound that endpointing keeps from the recogniser: what comes of it if it does not."""
    found: list[tuple[int, int]] = []
    start = 0
    for seconds in itertools.cycle(PIECES_S):
        end = start + int(seconds * SAMPLE_RATE)
        if end > len(audio):
            return found
        found.append((start, end))
        start = end
    return found


def recognise(
    engine: Any, kind: JobKind, recording: Recording, at: tuple[int, int], language: str, clock: Clock
) -> Heard:
    start, end = at
    work = AsrWork(AudioHandle("", 0, 0, start, end - start), language, kind=kind)
    clock.tokens.clear()
    began = time.process_time()
    result = engine.process(work, lambda handle: recording.audio[handle.start : handle.end])
    took_s = time.process_time() - began
    tokens = clock.tokens[0] if len(clock.tokens) == 1 else None
    return Heard(start / SAMPLE_RATE, (end - start) / SAMPLE_RATE, took_s, result, tokens)


def figures(recording: Recording, heard: Sequence[Heard], clock: Clock) -> dict[str, Any]:
    text = plain("".join(each.text for each in heard))
    found: dict[str, Any] = {
        "recording": recording.name,
        "utterances": len(heard),
        "with_text": sum(bool(plain(each.text)) for each in heard),
        "audio_s": round(sum(each.seconds for each in heard), 1),
        "took_s": round(sum(each.took_s for each in heard), 2),
        "encode_s": round(clock.seconds["encode"], 2),
        "decode_s": round(clock.seconds["generate"], 2),
        "align_s": round(clock.seconds["align"], 2),
        "attempts": clock.calls["generate"],
        "tokens_per_s": round(max((each.tokens / (each.seconds + 1) for each in heard if each.tokens), default=0.0), 1),
        "longest_job_s": round(max((each.took_s for each in heard), default=0.0), 2),
        "text": text,
        "texts": [(round(each.start, 1), round(each.seconds, 1), round(each.took_s, 2), each.text) for each in heard],
    }
    if recording.turns:
        reference = plain("".join(text for _, _, text in recording.turns))
        found["cer_percent"] = round(100 * Levenshtein.distance(reference, text) / len(reference), 2)
        found |= word_times(recording.turns, heard)
    if not recording.spoken:
        found["invented_chars"] = len(text)
    return found


def plain(text: str) -> str:
    """Letters and digits, of one width and case; with the sign for a long vowel."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in folded if letter.isalnum() or letter == "ー")


def word_times(turns: Sequence[tuple[float, float, str]], heard: Sequence[Heard]) -> dict[str, Any]:
    """Milliseconds by which the first word's start and the last word's end differ from the turn's."""
    by_turn: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for each in heard:
        for word in (word for segment in each.result.segments for word in segment.words if plain(word.text)):
            start, end = each.start + word.start, each.start + word.end
            by_turn[nearest(turns, (start + end) / 2)].append((start, end))
    starts, ends = [], []
    for number in filter(by_turn.__contains__, alone(turns)):
        if turns[number][1] - turns[number][0] < LONG_TURN_S:
            continue
        starts.append(1000 * abs(min(by_turn[number])[0] - turns[number][0]))
        ends.append(1000 * abs(max(end for _, end in by_turn[number]) - turns[number][1]))
    return {"first_word_ms": spread(starts), "last_word_ms": spread(ends), "turns_timed": len(starts)}


def alone(turns: Sequence[tuple[float, float, str]]) -> Iterator[int]:
    for number, (start, end, _) in enumerate(turns):
        others = (turn for other, turn in enumerate(turns) if other != number)
        if not any(a < end + APART_S and b > start - APART_S for a, b, _ in others):
            yield number


def nearest(turns: Sequence[tuple[float, float, str]], at: float) -> int:
    return min(range(len(turns)), key=lambda number: max(turns[number][0] - at, at - turns[number][1], 0.0))


def spread(values: Sequence[float]) -> dict[str, int] | None:
    """Median and 95th percentile."""
    if not values:
        return None
    return {"median": round(float(np.median(values))), "p95": round(float(np.percentile(values, 95)))}


# --- telling -----------------------------------------------------------------------------------------


def compare(rows: Sequence[dict[str, Any]]) -> None:
    """Adds to each recording how far its text is from the one with 30 s (of the same kind), in percent of that."""
    whole = {
        (row["case"].split(", margin")[0], found["recording"]): found["text"]
        for row in rows
        if f"margin {WHOLE_S:g} s" in row["case"] and not row["case"].endswith("does it")
        for found in row["recordings"]
    }
    for row in rows:
        for found in row["recordings"]:
            other = whole.get((row["case"].split(", margin")[0], found["recording"]))
            if other:
                found["changed_percent"] = round(100 * Levenshtein.distance(other, found["text"]) / len(other), 2)


def show(rows: Sequence[dict[str, Any]]) -> None:
    columns: tuple[str, ...] = (
        "recording",
        "utterances",
        "with_text",
        "audio_s",
        "took_s",
        "encode_s",
        "decode_s",
        "align_s",
    )
    columns += ("attempts", "tokens_per_s", "longest_job_s", "cer_percent", "changed_percent", "invented_chars")
    columns += ("first_word_ms", "last_word_ms")
    for row in rows:
        lines = ([cell(found.get(column)) for column in columns] for found in row["recordings"])
        report.show(row["case"], [column.replace("_", " ") for column in columns], lines)


def cell(value: Any) -> str:
    return "/".join(map(str, value.values())) if isinstance(value, dict) else "" if value is None else str(value)


if __name__ == "__main__":
    main()
