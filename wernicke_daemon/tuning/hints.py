"""Which setting to change, and why: one rule for each thing that a log can show. Pure.

A rule looks at a Summary and says nothing, or names a key of config.toml with the numbers that speak for it. The
sentences are in `words.json`. Limits are the least at which somebody would notice; they were set by judgement.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ipc.messages import StageName
from wernicke_daemon.tuning.summary import Summary

FEWEST = 20
"""Utterances from which shares mean something."""
SHARE_NOTED = 0.05
SHARE_LARGE = 0.2
WAITS_MS = 500.0
"""A wait that a reader of captions notices."""
BUSY = 0.7
"""Share of the time from which a stage's queue grows without end whenever two speak at once."""
SLOW = 0.5
"""Seconds of work for a second of audio: two who speak at once are all that it can do."""

LIGHTER: dict[StageName, str] = {
    "asr": "asr.model",
    "diarization": "diarization.engine",
    "correction": "llm.model",
    "ingest": "vad.tick_ms",
}
"""What makes a stage quicker most."""


Numbers = dict[str, str | int | float]


@dataclass(frozen=True)
class Hint:
    """key: of config.toml. rule: of the sentence in `words.json`. numbers: that are put into it."""

    rule: str
    key: str
    numbers: Numbers = field(default_factory=dict)


Rule = Callable[[Summary], Iterable[Hint]]


def hints(summary: Summary) -> list[Hint]:
    """The most important first; empty where nothing is to be changed."""
    return [hint for rule in RULES for hint in rule(summary)]


def _percent(share: float) -> int:
    return round(100 * share)


def _warned(code: str, rule: str, key: str) -> Rule:
    """A result lacks something too often."""

    def look(summary: Summary) -> Iterable[Hint]:
        share = summary.share(summary.warnings, code)
        if summary.warnings[code] >= 3 and share >= SHARE_NOTED:
            yield Hint(rule, key, {"percent": _percent(share), "times": summary.warnings[code]})

    return look


def _happened(event: str, rule: str, key: str, at_least: int = 1) -> Rule:
    """An event that has a remedy."""

    def look(summary: Summary) -> Iterable[Hint]:
        if summary.events[event] >= at_least:
            yield Hint(rule, key, {"times": summary.events[event]})

    return look


def _queues(summary: Summary) -> Iterable[Hint]:
    """A stage whose jobs wait far longer than they take: it has more work than it can do."""
    for stage, key in LIGHTER.items():
        queued, run = summary.queued_ms[stage].quantile(0.95), summary.run_ms[stage].quantile(0.5)
        if (
            queued is not None
            and run is not None
            and len(summary.run_ms[stage]) >= FEWEST
            and queued > max(2 * run, WAITS_MS)
        ):
            yield Hint("queues", key, {"stage": stage, "queued_s": queued / 1000, "run_s": run / 1000})


def _busy(summary: Summary) -> Iterable[Hint]:
    """A stage that is at work nearly all of the time, where it is busiest."""
    for stage in LIGHTER:
        shares = [slot.worked_ms[stage] / 1000 / summary.timeline.width_s for _, slot in summary.timeline]
        busy = sum(share >= BUSY for share in shares)
        if len(shares) >= 4 and busy >= SHARE_LARGE * len(shares):
            numbers: Numbers = {"stage": stage, "percent": _percent(busy / len(shares)), "busy": _percent(BUSY)}
            yield Hint("busy", "max_connections", numbers)


def _slow(summary: Summary) -> Iterable[Hint]:
    """Recognition that takes long for the audio that it hears."""
    ratio = summary.work_ratio("asr")
    if summary.utterances >= FEWEST and ratio >= SLOW:
        yield Hint("slow", "asr.beam_size", {"ratio": ratio})


def _slowest(summary: Summary) -> Iterable[Hint]:
    """What the slowest results wait for, where that is long and one thing."""
    of = summary.waits.mean(slowest=0.1)
    if not of or len(summary.waits) < FEWEST or sum(of.values()) < 2 * WAITS_MS:
        return
    cause = max(of, key=lambda cause: of[cause])
    keys = {
        "asr_run": "asr.model",
        "diarization_run": "diarization.engine",
        "correction_run": "llm.model",
        "late": "correction.deadline_s",
        "order": "correction.deadline_s",
    }
    if cause in keys:
        share = of[cause] / sum(of.values())
        numbers: Numbers = {"cause": cause, "percent": _percent(share), "wait_s": sum(of.values()) / 1000}
        yield Hint("slowest", keys[cause], numbers)


def _corrections(summary: Summary) -> Iterable[Hint]:
    """A language model that rewrites instead of mending."""
    if summary.refused >= 10 and summary.refused > summary.accepted:
        yield Hint("corrections", "llm.temperature", {"refused": summary.refused, "accepted": summary.accepted})


def _suppressed(summary: Summary) -> Iterable[Hint]:
    share = summary.share(summary.outcomes, "suppressed")
    if summary.utterances >= FEWEST and share >= SHARE_LARGE:
        yield Hint("suppressed", "vad.speech_probability", {"percent": _percent(share)})


def _cut(summary: Summary) -> Iterable[Hint]:
    """Nobody pauses long enough."""
    share = summary.share(summary.triggers, "max_duration")
    if summary.utterances >= FEWEST and share >= SHARE_LARGE:
        yield Hint("cut", "vad.silence_s", {"percent": _percent(share)})


def _without_text(summary: Summary) -> Iterable[Hint]:
    share = summary.without_text_s / max(1.0, summary.audio_s)
    if summary.utterances >= FEWEST and share >= SHARE_NOTED:
        yield Hint("without_text", "asr.log_prob_threshold", {"percent": _percent(share)})


def _died(summary: Summary) -> Iterable[Hint]:
    """A loaded spare takes over at once from a stage that dies now and again."""
    died = {stage: times for stage in LIGHTER if (times := summary.died[stage]) >= 3}
    if died:
        names = ", ".join(f'"{stage}"' for stage in died)
        yield Hint("died", "runtime.standby", {"names": names, "times": sum(died.values())})


def _in_time(summary: Summary) -> Iterable[Hint]:
    """All is ready when the silence is long enough: then that is what one waits for."""
    late = summary.latency_ms.quantile(0.95)
    if summary.utterances >= FEWEST and late is not None and late < WAITS_MS and summary.triggers["silence"]:
        yield Hint("in_time", "vad.silence_s", {"late_s": late / 1000})


RULES: tuple[Rule, ...] = (
    _happened("out_of_gpu_memory", "gpu_memory", "diarization.embedding_batch_size"),
    _happened("llm_placement", "placement", "llm.num_ctx"),
    _queues,
    _busy,
    _slow,
    _slowest,
    _warned("OVERLOADED", "overloaded", "runtime.shed_after_s"),
    _warned("LLM_TIMEOUT", "llm_late", "correction.deadline_s"),
    _warned("LLM_UNAVAILABLE", "llm_missing", "llm.host"),
    _warned("DIARIZATION_TIMEOUT", "speakers_late", "diarization.deadline_s"),
    _corrections,
    _happened("llm_prompt_shortened", "prompt", "llm.num_ctx"),
    _happened("llm_text_too_long", "text_too_long", "llm.num_ctx"),
    _suppressed,
    _cut,
    _without_text,
    _died,
    _happened("stage_hung", "hung", "runtime.job_timeout_s"),
    _happened("stage_slow", "starved", "asr.cpu_threads"),
    _in_time,
)
