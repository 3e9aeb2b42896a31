"""Text while one speaks, and the final at the moment the silence is long enough: how soon, and at which price?

    python benchmarks/latency.py [--quick] [--seconds 70] [--conversations 2] [--sessions 5] [--json FILE]
    python benchmarks/latency.py --load [--streams 1 5 20 50 100] [--vad silero] [--json FILE]
    python benchmarks/latency.py --model DIR --audio FILE --truth FILE.json [--seconds 120] [--json FILE]

**With engines that only take time** (`stages.testing.sleep`; as long as on an RTX 3090, and a faster set), over
generated conversations (phrases of 0.4 to 4 s, pauses of 0.2 to 3 s, by seed) that are streamed in real time over
WebSockets to whole daemons, each in processes of its own. Several ways are compared in one run, on the same audio at
the same time:

- *with*: as by default. *phrases*: the same with `asr.final = "phrases"`.
- *without*: `asr.early = false`, `asr.live = false`. Work begins when the silence is long enough.
- *serial chain*: recognition, then diarization, then correction of one utterance before the next one's, as in this
  project's original design. It is **computed**, not run: from the utterances' times and the engines', nothing added.

The trigger is when `vad.silence_s` have passed since the last speech by the client's clock, which paces the audio:
frames that wait for their end, ticks and voice detection count as lateness. `after_boundary_ms` is what the daemon says
itself, from the end of the utterance being found. `never_later`: no final came more than TOLERANCE_S later than
without, which is what two daemons on a busy machine differ by at the same work.
`work_ratio`: all recognition that was done, live, early, firm and for nothing, over that of deciding once;
`work_ratio_firm_early`: the same without live passes and what was done for nothing.

How much a busy machine blurs: `machine.load` in the JSON, and `late_ms`, how far a client fell behind real time.
`--load` and `--model` are explained in `latency_load.py` and `latency_model.py`.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import engine_times, latency_load, latency_model, report, served
from benchmarks.conversation import Listener, Talk, generated, listen
from benchmarks.engine_times import Times
from benchmarks.report import Figure
from benchmarks.served import Plan, Served
from benchmarks.timeliness import Timed, percentiles, serial, timed
from ipc import event_loop
from ipc.settings import VadSettings
from wernicke_daemon.client import MONO_16K
from wernicke_daemon.config.schema import Config

VAD = VadSettings(engine="energy", threshold_db=-40.0)
CARD = Times(600, 40, 500, 1000)
"""Of an RTX 3090 with large-v3, a 14B language model and pyannote, as the design assumes."""

FASTER = Times(300, 20, 300, 500)

WAYS: Mapping[str, Mapping[str, Any]] = {
    "with": {},
    "without": {"early": False, "live": False},
    "phrases": {"final": "phrases"},
}
"""Settings of [asr] by way."""

NOTHING: Mapping[str, float] = {}
CHUNK_S = 0.02
TOLERANCE_S = 0.15
QUICK_S = 8.0


@dataclass(frozen=True)
class Found:
    """What one way came to. utterances: by conversation. recognised_ms: work of recognition, by what it was for.
    late_s: of the client that fell most behind."""

    utterances: list[list[Timed]]
    recognised_ms: Mapping[str, float]
    late_s: float

    @property
    def all_recognised_ms(self) -> float:
        return sum(self.recognised_ms.values())

    @property
    def firm_and_early_ms(self) -> float:
        """Without live passes, and without what was done for nothing."""
        return sum(self.recognised_ms.get(kind, 0.0) for kind in ("firm", "early"))

    @property
    def all(self) -> list[Timed]:
        return [each for conversation in self.utterances for each in conversation]

    @property
    def by_silence(self) -> list[Timed]:
        return [each for each in self.all if each.trigger == "silence"]


# --- to run it -------------------------------------------------------------------------------------


def planned(way: str, times: Times, sessions: int) -> Plan:
    config = Config(max_connections=sessions, vad=VAD)
    return engine_times.plan_of(replace(config, asr=replace(config.asr, **WAYS[way])), times)


def talks(args: argparse.Namespace, count: int, seed: int) -> list[Talk]:
    decisive = VAD.phrase_pause_s, VAD.silence_s
    return [generated(seed + number, args.seconds, decisive) for number in range(count)]


async def one_each(ways: Sequence[str], times: Times, said: Sequence[Talk], directory: Path) -> dict[str, Found]:
    """A daemon for each way and conversation, all at the same time."""
    pairs = [(way, talk) for way in ways for talk in said]
    async with served.serving([planned(way, times, 1) for way, _ in pairs], directory) as daemons:
        runs = [listen(daemon.url, [talk], MONO_16K, CHUNK_S) for daemon, (_, talk) in zip(daemons, pairs, strict=True)]
        heard = [listener for [listener] in await asyncio.gather(*runs)]
        by_way = {way: [index for index, pair in enumerate(pairs) if pair[0] == way] for way in ways}
        return {
            way: found([heard[index] for index in mine], [daemons[index] for index in mine])
            for way, mine in by_way.items()
        }


async def side_by_side(ways: Sequence[str], times: Times, said: Sequence[Talk], directory: Path) -> dict[str, Found]:
    """One daemon for each way, which all conversations share."""
    async with served.serving([planned(way, times, len(said)) for way in ways], directory) as daemons:
        heard = await asyncio.gather(*(listen(daemon.url, said, MONO_16K, CHUNK_S) for daemon in daemons))
        return {way: found(listeners, [daemon]) for way, listeners, daemon in zip(ways, heard, daemons, strict=True)}


def found(listeners: Sequence[Listener], daemons: Sequence[Served]) -> Found:
    utterances = [timed(listener.talk, listener.heard, VAD) for listener in listeners]
    return Found(utterances, recognised_ms(daemons), max(listener.late_s for listener in listeners))


def recognised_ms(daemons: Sequence[Served]) -> Mapping[str, float]:
    """By kind of job; "unwanted" for those that nobody waited for any more when they were done."""
    work: Counter[str] = Counter()
    for job in (event for daemon in daemons for event in daemon.events("job", "late_answer")):
        if job["stage"] == "asr":
            work[job.get("kind", "unwanted")] += job["run_ms"]
    return work


# --- what it amounts to ----------------------------------------------------------------------------


def figures(ways: Mapping[str, Found], times: Times) -> dict[str, Any]:
    """Of one session at a time, by the keys of the JSON file."""
    with_, without = ways["with"], ways["without"]
    chain = [late for mine in without.utterances for late in serial(mine, times.work_s)]
    later = lateness(with_.all, without.all)
    phrases = [phrase for each in with_.all for phrase in each.phrases]
    return {
        "final_after_trigger_ms": percentiles([each.after_trigger_s for each in with_.by_silence], 1000),
        "beyond_allowed_ms": percentiles(
            [each.after_trigger_s - times.allowed_s(each.audio_s, VAD) for each in with_.by_silence], 1000
        ),
        "without_early_ms": percentiles([each.after_trigger_s for each in without.by_silence], 1000),
        "serial_ms": percentiles(chain, 1000),
        "first_text_s": percentiles([each.first_text_s for each in with_.all]),
        "first_text_without_s": percentiles([each.first_text_s for each in without.all]),
        "phrase_text_s": percentiles([phrase.text_s for phrase in phrases]),
        "phrase_work_s": percentiles([times.recognition_s(phrase.audio_s) for phrase in phrases]),
        "never_later": max(later) <= TOLERANCE_S,
        "latest_ms": round(max(later) * 1000, 1),
        "work": work(with_, without),
        "after_boundary_ms": percentiles([each.after_boundary_s for each in with_.by_silence], 1000),
        "utterances": len(later),
        "unmatched": len(with_.all) + len(without.all) - 2 * len(later),
        "late_ms": round(max(way.late_s for way in ways.values()) * 1000, 1),
    }


def lateness(mine: Sequence[Timed], others: Sequence[Timed]) -> list[float]:
    """Seconds by which finals came later than those of the same audio the other way."""
    at = {each.range: each.final_at for each in others}
    return [each.final_at - at[each.range] for each in mine if each.range in at]


def work(mine: Found, once: Found) -> dict[str, float]:
    """Recognition by what it was for, over that of deciding once."""
    return {kind: round(ms / once.all_recognised_ms, 3) for kind, ms in sorted(mine.recognised_ms.items())}


def of_phrases(ways: Mapping[str, Found], times: Times) -> dict[str, Any]:
    mine, without = ways["phrases"], ways["without"]
    return {
        "work_ratio": round(mine.all_recognised_ms / without.all_recognised_ms, 3),
        "work_ratio_firm_early": round(mine.firm_and_early_ms / without.all_recognised_ms, 3),
        "phrases_work": work(mine, without),
        "phrases_final_after_trigger_ms": percentiles([each.after_trigger_s for each in mine.by_silence], 1000),
        "phrases_latest_ms": round(max(lateness(mine.all, without.all)) * 1000, 1),
    }


def of_sessions(ways: Mapping[str, Found]) -> dict[str, Any]:
    with_, without = (
        percentiles([each.after_trigger_s for each in ways[way].by_silence], 1000) for way in ("with", "without")
    )
    return {
        "final_after_trigger_ms": with_,
        "without_early_ms": without,
        "p95_ratio": round(with_["p95"] / without["p95"], 3),
        "first_text_s": percentiles([each.first_text_s for each in ways["with"].all]),
        "work": work(ways["with"], ways["without"]),
        "utterances": len(ways["with"].all),
        "late_ms": round(max(way.late_s for way in ways.values()) * 1000, 1),
    }


async def measure(args: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """The figures, by the keys of the JSON file."""
    times = engine_times.chosen(args)
    said = talks(args, args.conversations, args.seed)
    report.tell(f"one session at a time, {args.seconds:g} s ...")
    card = await one_each(("with", "without", "phrases"), times, said, directory)
    report.tell(f"the same with faster engines, {args.seconds:g} s ...")
    faster = await one_each(("with", "without"), FASTER, said, directory)
    report.tell(f"{args.sessions} sessions, {args.seconds:g} s ...")
    many = talks(args, args.sessions, args.seed + args.conversations)
    sessions = await side_by_side(("with", "without"), times, many, directory)
    return {
        **figures(card, times),
        **of_phrases(card, times),
        "faster": figures(faster, FASTER),
        "sessions": {str(args.sessions): of_sessions(sessions)},
        "times_ms": times.as_dict(),
        "faster_times_ms": FASTER.as_dict(),
        "seconds": args.seconds,
        "conversations": args.conversations,
    }


# --- to show it ------------------------------------------------------------------------------------

COLUMNS = ("figure", "with", "wanted", "", "without", "serial")


def rows(found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    yield from _rows_of("card", found, fits=False)
    yield "card, phrases: work ratio", *Figure(found["work_ratio"], at_most=2).cells
    yield from _rows_of("faster", found["faster"], fits=True)
    for count, many in found["sessions"].items():
        yield from _finals(f"{count} sessions", many)
        yield f"{count} sessions: p95 over without", *Figure(many["p95_ratio"], at_most=1.1).cells


def _rows_of(name: str, found: Mapping[str, Any], fits: bool) -> Iterator[tuple[str, ...]]:
    yield from _finals(name, found, {"p50": 0.03, "p95": 0.15} if fits else NOTHING)
    if not fits:
        yield f"{name}: beyond allowed, p50", *_seconds(found["beyond_allowed_ms"]["p50"], 0.0)
    yield f"{name}: latest re without", *_seconds(found["latest_ms"], TOLERANCE_S)
    first, first_without = found["first_text_s"]["p50"], found["first_text_without_s"]["p50"]
    yield f"{name}: first text, p50", *Figure(first, "s", at_most=1.5).cells, f"{first_without:.3g} s"
    most = round(0.3 + found["phrase_work_s"]["p50"], 3)
    yield f"{name}: text of a phrase, p50", *Figure(found["phrase_text_s"]["p50"], "s", at_most=most).cells
    yield f"{name}: work ratio", *Figure(sum(found["work"].values())).cells


def _finals(name: str, found: Mapping[str, Any], most: Mapping[str, float] = NOTHING) -> Iterator[tuple[str, ...]]:
    for share in ("p50", "p95"):
        others = (found[key][share] for key in ("without_early_ms", "serial_ms") if key in found)
        cells = _seconds(found["final_after_trigger_ms"][share], most.get(share))
        yield f"{name}: final, {share}", *cells, *(_seconds(other, None)[0] for other in others)


def _seconds(milliseconds: float, at_most: float | None) -> tuple[str, str, str]:
    return Figure(milliseconds / 1000, "s", at_most=at_most).cells


def main() -> None:
    args = _options().parse_args()
    with report.workplace() as directory:
        if args.load:
            found = latency_load.run(args, VAD, directory)
        elif args.model:
            found = latency_model.run(args, directory)
        else:
            found = event_loop.run(measure(_shortened(args), directory))
            title = "Latency (a quick run shows whether it works)" if args.quick else "Latency"
            report.show(title, COLUMNS, rows(found))
    report.save(args.json, found)


def _shortened(args: argparse.Namespace) -> argparse.Namespace:
    args.seconds = args.seconds or (QUICK_S if args.quick else 70.0)
    args.conversations = 1 if args.quick else args.conversations
    return args


def _options() -> argparse.ArgumentParser:
    options = report.parser("How soon text and finals come, with and without work before the end of an utterance.")
    options.add_argument("--quick", action="store_true", help="not long: whether it works, not how fast")
    options.add_argument(
        "--seconds", type=float, help="of audio; without --model of each conversation, of which 3 sets are streamed"
    )
    options.add_argument("--conversations", type=int, default=2, help="in one session each, of a daemon of their own")
    options.add_argument("--sessions", type=int, default=5, help="of one daemon, side by side")
    options.add_argument("--seed", type=int, default=1, help="of the conversations")
    engine_times.add_options(options, CARD)
    latency_load.add_options(options)
    latency_model.add_options(options)
    return options


if __name__ == "__main__":
    main()
