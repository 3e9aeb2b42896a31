"""How long does each engine take with the threads that its stage gets, and with those that its libraries take by
themselves; with the machine to itself, and with a program at work on each of its CPUs?

    python benchmarks/threads.py [--whisper DIR] [--aligner DIR] [--pyannote DIR] [--jobs 3] [--json FILE]

Each engine is loaded in a process of its own, in the environment of its stage or without it, and does the same job
several times, on the first 12 s of the bundled clip. Engines whose model or package is not here are left out, and that
is said. The competitors only turn, one for each CPU, with the priority that the engines have (or, `--nice`, with less).
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import competitors, report
from ipc.audio_handle import SAMPLE_RATE, Audio, AudioHandle
from ipc.messages import AsrWork, DiarizationWork, IngestTask, IngestWork, StageName, Work
from ipc.settings import StageSettings
from wernicke_daemon.demo import CLIP
from wernicke_daemon.formats import audio_files
from wernicke_daemon.processes import process_tree, threads

AUDIO_S = 12.0
LIMIT_S = 200.0
"""For loading an engine and its jobs; what takes longer is told as such."""


class Case(msgspec.Struct, frozen=True):
    """One engine to measure. settings: with its name and its model."""

    name: str
    stage: StageName
    engine: str
    settings: StageSettings
    jobs: int


def cases(args: argparse.Namespace) -> list[Case]:
    plain = StageSettings()
    english = replace(plain.asr, language="en", device="cpu", compute_type="int8")
    own_times = replace(plain.alignment, engine="whisper")
    found: list[tuple[str, StageName, str, StageSettings]] = [
        ("silero", "ingest", "silero", plain),
        ("pocketsphinx", "asr", "pocketsphinx", replace(plain, asr=english)),
        ("onnx", "diarization", "onnx", plain),
    ]
    if args.whisper:
        whisper = replace(plain, asr=replace(english, model=str(args.whisper)), alignment=own_times)
        found.append(("faster_whisper", "asr", "faster_whisper", whisper))
        if args.aligner:
            aligned = replace(plain.alignment, engine="whisperx", model=str(args.aligner), device="cpu")
            found.append(("faster_whisper, whisperx", "asr", "faster_whisper", replace(whisper, alignment=aligned)))
    if args.pyannote:
        diarization = replace(plain.diarization, model=str(args.pyannote), device="cpu")
        found.append(("pyannote", "diarization", "pyannote", replace(plain, diarization=diarization)))
    return [Case(name, stage, engine, settings, args.jobs) for name, stage, engine, settings in found]


def environment(case: Case, ours: bool) -> dict[str, str]:
    share = threads.shares(case.settings, threads.cores())[case.stage]
    plain = {name: value for name, value in os.environ.items() if name not in (*threads.WAITING, *threads.COUNTS)}
    return {**plain, **threads.variables(share)} if ours else plain


def measured(case: Case, ours: bool) -> dict[str, Any]:
    """Seconds of the median job by the wall clock, and of CPU. Nothing of it where the time did not suffice."""
    command = [process_tree.python(), str(Path(__file__).resolve()), "--one"]
    plan = msgspec.json.encode(case)
    try:
        done = subprocess.run(
            command, input=plan, capture_output=True, env=environment(case, ours), timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {"wall_s": None, "cpu_s": None}
    if done.returncode:
        sys.exit(f"error: {case.name} could not be measured: {done.stderr.decode(errors='replace').strip()}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(found: list[Case], nice: bool) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for busy in (False, True):
        with competitors.at_work(nice) if busy else contextlib.nullcontext():
            for case in found:
                for ours in (False, True):
                    of_case = figures.setdefault(case.name, {})
                    key = f"{'busy' if busy else 'quiet'}_{'ours' if ours else 'as_they_are'}"
                    of_case[key] = measured(case, ours)
                    print(f"{case.name}, {key}: {of_case[key]}", file=sys.stderr, flush=True)
    return figures


# --- in a process of its own ------------------------------------------------------------------------


def one(case: Case) -> None:
    """Prints the figures of this engine, in this environment."""
    from stages import offline
    from stages.process import engine_registry

    offline.enforce()
    engine = engine_registry.create(case.stage, case.engine, case.settings)
    engine.load()
    engine.warm_up()
    audio = clip()
    walls, cpus = [], []
    for _ in range(case.jobs):
        wall, cpu = time.perf_counter(), time.process_time()
        engine.process(work(case.stage, len(audio)), lambda handle: audio[: handle.count])
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    print(json.dumps({"wall_s": round(median(walls), 3), "cpu_s": round(median(cpus), 3)}), flush=True)
    os._exit(0)  # as stages end


def clip() -> Audio:
    return audio_files.samples(CLIP, SAMPLE_RATE)[: round(AUDIO_S * SAMPLE_RATE)]


def work(stage: StageName, count: int) -> Work:
    handle = AudioHandle("", 0, 0, 0, count)
    match stage:
        case "asr":
            return AsrWork(handle, "en")
        case "diarization":
            return DiarizationWork(handle)
    return IngestWork((IngestTask("s", handle, b"", "stop", 0.0),))


# --- what is shown ------------------------------------------------------------------------------------


def rows(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, of_engine in figures.items():
        yield (
            name,
            *(_cell(of_engine[f"{when}_{what}"]) for when in ("quiet", "busy") for what in ("as_they_are", "ours")),
        )


def _cell(found: dict[str, Any]) -> str:
    return f"not in {LIMIT_S:.0f} s" if found["wall_s"] is None else f"{found['wall_s']:.2f} ({found['cpu_s']:.2f})"


def main() -> None:
    options = report.parser(__doc__ or "")
    options.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--whisper", type=Path, metavar="DIR", help="a Whisper model (CTranslate2)")
    options.add_argument("--aligner", type=Path, metavar="DIR", help="a wav2vec2 model, beside --whisper")
    options.add_argument("--pyannote", type=Path, metavar="DIR", help="a pyannote pipeline")
    options.add_argument("--jobs", type=int, default=3, help="of which the median is told")
    options.add_argument("--nice", action="store_true", help="competitors of low priority (not on Windows)")
    args = options.parse_args()
    if args.one:
        one(msgspec.json.decode(sys.stdin.buffer.read(), type=Case))
        return
    with report.workplace():
        figures = compare(cases(args), args.nice)
        columns = ("engine", "quiet: as they are", "quiet: ours", "busy: as they are", "busy: ours")
        report.show(f"seconds (of CPU) for {AUDIO_S:.0f} s of audio", columns, rows(figures))
        report.save(args.json, {"engines": figures, "threads": threads.shares(StageSettings(), threads.cores())})


if __name__ == "__main__":
    main()
