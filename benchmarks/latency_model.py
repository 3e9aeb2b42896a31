"""Text while one speaks, with a trained Whisper and a recording of which everything is known: `latency.py --model`.

    python benchmarks/latency.py --model DIR --audio FILE --truth FILE.json [--seconds 120]

The recording is streamed in real time to a daemon with Whisper on the CPU, Silero, light diarization and no
correction; twice, one after the other as they would slow each other down: with live and early work, and without either.

The truth is `{"language": …, "turns": [{"start", "end", "text", "speech": [[start, end], …]}, …]}`, in seconds. The
recording is cut in the last pause between turns before `--seconds`, and silence is put after it.

- CER: characters wrong over characters said, of all finals one after another; both sides NFKC, case folded, letters and
  digits only.
- Changed stable: of the characters that were shown as stable, how many the final has otherwise (edit distance between
  them and the nearest beginning of the final). That the final has a line for each speaker changes no character.
- CPU: of all processes of the daemon while it listens, per second of audio.
"""

import argparse
import json
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
from msgspec.structs import replace
from rapidfuzz.distance import Levenshtein

from benchmarks import report, served
from benchmarks.conversation import Heard, Listener, Talk
from benchmarks.report import Figure
from benchmarks.served import Plan
from benchmarks.timeliness import percentiles, timed
from ipc import event_loop
from ipc.audio_handle import SAMPLE_RATE
from ipc.settings import AsrSettings, CorrectionSettings, DiarizationSettings
from wernicke_daemon.client import MONO_16K
from wernicke_daemon.config.schema import Config
from wernicke_daemon.formats import audio_files

SECONDS = 120.0
TAIL_S = 2.7
CHUNK_S = 0.02
WAYS: Mapping[str, Mapping[str, Any]] = {"with": {}, "without": {"early": False, "live": False}}
"""Settings of [asr] by way."""


def add_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--model", type=Path, metavar="DIR", help="a trained Whisper for CTranslate2: measure with it")
    options.add_argument("--audio", type=Path, metavar="FILE", help="a recording")
    options.add_argument("--truth", type=Path, metavar="FILE", help="what is said in it, as JSON")


@dataclass(frozen=True)
class Recording:
    """texts: of its turns, in order."""

    talk: Talk
    texts: tuple[str, ...]
    language: str


def run(args: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Shows the table; returns the figures by the keys of the JSON file."""
    recording = read(args.audio, args.truth, args.seconds or SECONDS)
    ways = {}
    for way in WAYS:
        print(f"{way} live and early work, {recording.talk.seconds:.0f} s ...", file=sys.stderr, flush=True)
        ways[way] = event_loop.run(measure(recording, planned(way, args.model, recording.language), directory))
    found = {
        **ways,
        "cer_difference": round(ways["with"]["cer"] - ways["without"]["cer"], 3),
        "cpu_ratio": round(ways["with"]["cpu_s_per_audio_s"] / ways["without"]["cpu_s_per_audio_s"], 3),
        "seconds": recording.talk.seconds,
    }
    report.show("Latency with a trained Whisper", ("figure", "with", "wanted", "", "without"), rows(found))
    return found


def planned(way: str, model: Path, language: str) -> Plan:
    asr = AsrSettings(engine="faster_whisper", model=str(model.absolute()), language=language, device="cpu")
    config = Config(
        asr=replace(asr, compute_type="int8", **WAYS[way]),
        diarization=DiarizationSettings(engine="onnx"),
        correction=CorrectionSettings(engine="none"),
    )
    config = replace(config, alignment=replace(config.alignment, engine="whisper"))
    return served.plan(config, {}, {})


def read(audio: Path, truth: Path, seconds: float) -> Recording:
    known = json.loads(truth.read_text(encoding="utf-8"))
    turns, until = _cut(known["turns"], seconds)
    samples = audio_files.samples(audio, SAMPLE_RATE)[: round(until * SAMPLE_RATE)]
    silence = np.zeros(round(TAIL_S * SAMPLE_RATE), np.float32)
    spoken = sorted((float(start), float(end)) for turn in turns for start, end in turn["speech"])
    talk = Talk(np.concatenate([samples, silence]), tuple(spoken))
    return Recording(talk, tuple(turn["text"] for turn in turns), known["language"])


def _cut(turns: Sequence[Mapping[str, Any]], seconds: float) -> tuple[Sequence[Mapping[str, Any]], float]:
    """The turns before the last pause up to `seconds`, and when the next one begins. Ends the program without any."""
    ends = np.maximum.accumulate([turn["end"] for turn in turns])
    starts = [*(turn["start"] for turn in turns[1:]), np.inf]
    whole = [n for n, (end, start) in enumerate(zip(ends, starts, strict=True)) if end <= seconds and end < start]
    if not whole:
        sys.exit(f"error: no turn ends within {seconds:g} s; raise --seconds")
    return turns[: whole[-1] + 1], min(starts[whole[-1]], float(ends[whole[-1]]))


async def measure(recording: Recording, plan: Plan, directory: Path) -> dict[str, Any]:
    """The figures of one way."""
    vad = plan.config.vad
    async with served.serving([plan], directory) as [daemon]:
        listener = Listener(recording.talk, MONO_16K, CHUNK_S, recording.language)
        before = daemon.cpu_s()
        await listener.run(daemon.url)
        cpu_s = daemon.cpu_s() - before
    utterances = timed(recording.talk, listener.heard, vad)
    phrases = [phrase.text_s for each in utterances for phrase in each.phrases]
    by_silence = [each for each in utterances if each.trigger == "silence"]
    changed, stable = _stable(listener.heard)
    return {
        "first_text_s": percentiles([each.first_text_s for each in utterances]),
        "phrase_text_s": percentiles(phrases),
        "final_after_speech_s": percentiles([each.final_at - each.spoken_end for each in by_silence]),
        "cer": round(100 * jiwer.cer(plain("".join(recording.texts)), plain("".join(_texts(listener.heard)))), 2),
        "stable_chars": stable,
        "stable_changed": round(changed / stable, 4) if stable else 0.0,
        "partials": sum(heard.message["type"] == "partial" for heard in listener.heard),
        "cpu_s_per_audio_s": round(cpu_s / recording.talk.seconds, 4),
        "utterances": len(utterances),
        "late_ms": round(listener.late_s * 1000, 1),
    }


def plain(text: str) -> str:
    """NFKC, case folded, letters and digits only."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def _texts(heard: Sequence[Heard]) -> Iterator[str]:
    return (each.message["text"] for each in heard if each.message["type"] == "final")


def _stable(heard: Sequence[Heard]) -> tuple[int, int]:
    """Characters that were shown as stable and that the final has otherwise, and all that were shown so. Stable text
    only grows, so the last partial has all of an utterance."""
    shown: dict[int, str] = {}
    changed = 0
    for message in (each.message for each in heard):
        if message["type"] == "partial":
            shown[message["sequence"]] = message["text"][: message["stable_chars"]]
        elif message["type"] == "final":
            changed += _changed(shown.get(message["sequence"], ""), message["text"].replace("\n", ""))
    return changed, sum(map(len, shown.values()))


def _changed(stable: str, final: str) -> int:
    return min(Levenshtein.distance(stable, final[:end]) for end in range(len(final) + 1))


def rows(found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    with_, without = found["with"], found["without"]
    for key, what, most in (
        ("first_text_s", "first text, p50", 1.5),
        ("phrase_text_s", "text of a phrase, p50", 1.5),
        ("final_after_speech_s", "final after speech, p50", 2.3),
    ):
        yield what, *Figure(with_[key]["p50"], "s", at_most=most).cells, f"{without[key]['p50']:.3g} s"
    for key, what, limit in (
        ("cer", "CER, %", without["cer"] + 0.3),
        ("stable_changed", "changed stable, share", 0.01),
        ("cpu_s_per_audio_s", "CPU per audio second", 2 * without["cpu_s_per_audio_s"]),
        ("partials", "partials", None),
        ("late_ms", "client behind, ms", None),
    ):
        yield what, *Figure(with_[key], at_most=limit).cells, f"{without[key]:.3g}"
