"""What figures and the log's `utterance` line cost the front.

    python benchmarks/figures.py [--rounds 20000] [--json FILE]

Best of five runs of each, in microseconds: to count a job's wait and work (`job`), to count an utterance, to put its
line together and write it as JSON, to make the percentiles and buckets of /stats. `share` is what all of it takes of a
core with so many sessions, each with an utterance every 4 s, four jobs to an utterance, a look at new audio every 50
ms, and one scrape of /metrics every 15 s.
"""

import argparse
import json
import sys
import timeit
from collections.abc import Callable
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ipc.audio_handle import AudioHandle
from ipc.messages import STAGES, AsrResult, Boundary, CorrectionResult, Segment
from wernicke_daemon.observability import utterance_line
from wernicke_daemon.observability.figures import Figures
from wernicke_daemon.utterances import results
from wernicke_daemon.utterances.pieces import StageTiming
from wernicke_daemon.utterances.speaker_assignment import lines_by_speaker
from wernicke_daemon.utterances.utterance import Utterance

SESSIONS = 100
UTTERANCE_EVERY_S, SCRAPE_EVERY_S, TICK_S = 4.0, 15.0, 0.05
JOBS = 4
"""To an utterance: recognition early and live, diarization, correction."""


def utterance() -> Utterance:
    made = Utterance(
        session="0" * 16,
        sequence=7,
        buffer_id="buff_20260101_000000_007",
        audio=AudioHandle("arena", 0, 1, 0, 64_000),
        boundary=Boundary(0, 64_000, "silence", 48_000, 64_000),
        language="ja",
        glossary=(),
        triggered=100.0,
        wall_start=0.0,
        asr=AsrResult("ja", 0.99, (Segment(0.0, 4.0, "来年度の予算を確認します。", ()),), "whisper"),
        correction=CorrectionResult((None,), ("number",)),
        models={"asr": "large-v3"},
    )
    assert made.asr is not None
    made.lines = lines_by_speaker(made.asr, None, ())
    made.timings = {stage: StageTiming(5.0, 400.0, 1, 100.4) for stage in STAGES}
    made.pieces[0].timing = made.timings["asr"]
    return made


def filled() -> Figures:
    figures = Figures()
    for number in range(1000):
        for stage in STAGES:
            figures.job(stage, "firm", StageTiming(number * 1.0, number * 2.0, 1))
        figures.latency_ms.add(float(number))
        figures.vad_lag_ms.add(float(number))
    return figures


def measured(rounds: int) -> dict[str, float]:
    """Microseconds."""
    figures, said, encode = filled(), utterance(), msgspec.json.Encoder().encode
    final = results.final(said, [], words=True, now=100.5)
    timing = StageTiming(12.0, 480.0, 1)

    def line() -> None:
        json.dumps(utterance_line.fields(said, final, 500.0, with_text=False), ensure_ascii=False)

    def page() -> None:
        kinds = [figures.latency_ms, figures.vad_lag_ms, *figures.queued_ms.values(), *figures.run_ms.values()]
        encode([(each.percentiles(), each.buckets()) for each in kinds])

    def buckets() -> None:
        kinds = [figures.latency_ms, figures.vad_lag_ms, *figures.queued_ms.values(), *figures.run_ms.values()]
        encode([each.buckets() for each in kinds])

    work: dict[str, tuple[Callable[[], object], int]] = {
        "job": (lambda: figures.job("asr", "firm", timing), rounds),
        "utterance_counted": (lambda: figures.utterance(said, 500.0), rounds),
        "utterance_line": (line, rounds),
        "stats": (page, max(1, rounds // 100)),
        "stats_buckets": (buckets, max(1, rounds // 100)),
    }
    return {
        name: round(1e6 * min(timeit.repeat(do, number=times, repeat=5)) / times, 2)
        for name, (do, times) in work.items()
    }


def share(of: dict[str, float]) -> float:
    """Percent of a core. A look at new audio is one ingest job for all sessions."""
    utterances = SESSIONS / UTTERANCE_EVERY_S * (JOBS * of["job"] + of["utterance_counted"] + of["utterance_line"])
    return round((utterances + (of["job"] * 1.5) / TICK_S + of["stats"] / SCRAPE_EVERY_S) / 1e4, 3)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--rounds", type=int, default=20_000)
    options.add_argument("--json", type=Path)
    args = options.parse_args()
    of = measured(args.rounds)
    for name, microseconds in of.items():
        print(f"{name:20} {microseconds:10.2f} µs")
    print(f"{'share of a core':20} {share(of):10.3f} %   ({SESSIONS} sessions)")
    if args.json:
        args.json.write_text(json.dumps({**of, "share_percent": share(of), "sessions": SESSIONS}, indent=2) + "\n")


if __name__ == "__main__":
    main()
