"""The front's figures as Prometheus metrics; docs/monitoring.md has them all. Pure.

Each scrape makes them anew from the pages /stats and /health, which count since the start of the daemon. Labels are
stages, states, kinds, codes and reasons: names of ours, of which there are few. Reasons are there from the start, as a
step from nothing to 1 is none that Prometheus sees.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ipc.messages import LeftOut, Refusal
from wernicke_daemon.observability.pages import Buckets, GpuFigures, Health, Stats

MIB = 1024 * 1024
STATUSES = ("starting", "ok", "unloaded", "degraded", "failed")
"""Of Health."""


def exposed(stats: Stats | None, health: Health | None, accept: str) -> tuple[bytes, str]:
    """The text and its content type, as the header Accept wants it. None: the front does not answer."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(stats, health))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Collected(Collector):
    def __init__(self, stats: Stats | None, health: Health | None) -> None:
        self._stats = stats
        self._health = health

    def collect(self) -> Iterator[Metric]:
        return families(self._stats, self._health)


def families(stats: Stats | None, health: Health | None) -> Iterator[Metric]:
    """All of them."""
    yield _gauge("up", "Whether the daemon answers the process that serves this page.", stats is not None)
    if stats is not None:
        yield from _clients(stats)
        yield from _results(stats)
        yield from _audio(stats)
        yield from _stages(stats)
        if stats.gpu_stats is not None:
            yield from _gpu(stats.gpu_stats)
    if health is not None:
        yield from _health(health)


def _clients(stats: Stats) -> Iterator[Metric]:
    sessions = stats.sessions
    attached = sum(session.attached for session in sessions)
    by_client = {"attached": attached, "gone": len(sessions) - attached}
    yield _gauge("connections", "Clients that are connected.", stats.active_sessions)
    yield _gauges("sessions", "Sessions that are not over, by whether their client is connected.", "client", by_client)
    paused = sum(session.paused for session in sessions)
    yield _gauge("sessions_paused", "Sessions whose audio waits, as their ring is full.", paused)
    under_way = sum(session.under_way for session in sessions)
    yield _gauge("utterances_under_way", "Utterances without a result.", under_way)


def _results(stats: Stats) -> Iterator[Metric]:
    yield _counter("finals", "Results with words.", stats.total_transcriptions)
    yield _counter("suppressed", "Utterances without words.", stats.suppressed)
    yield _counter(
        "undelivered", "Results at whose time no client was connected; they are in the store.", stats.undelivered
    )
    yield _counters("errors", "Errors told to clients.", "code", stats.errors)
    yield _counters("warnings", "What results lack.", "code", stats.warnings)
    yield _counter("corrections_accepted", "Segments whose text correction replaced.", stats.corrections_accepted)
    refused = dict.fromkeys(get_args(Refusal), 0) | stats.corrections_refused
    yield _counters("corrections_refused", "Segments in which a correction was turned down.", "reason", refused)
    left_out = dict.fromkeys(get_args(LeftOut), 0) | stats.left_out
    yield _counters("left_out", "Segments of text that nobody said.", "reason", left_out)
    said = "From an utterance's end being found to its result leaving."
    yield from _histogram("trigger_to_final_seconds", said, [((), stats.latency_buckets)], stats)


def _audio(stats: Stats) -> Iterator[Metric]:
    yield _counter("audio_dropped_seconds", "Sound that was too short to be an utterance.", stats.dropped_s)
    yield _counter("audio_silence_seconds", "Audio in no utterance, of sessions that are over.", stats.silence_s)
    yield _counter("audio_lost_seconds", "Audio lost to faults, of sessions that are over.", stats.lost_s)
    said = "The longest that audio of one look waited to be examined for speech."
    yield from _histogram("vad_lag_seconds", said, [((), stats.vad_lag_buckets)], stats)
    ahead = stats.ahead
    jobs = {kind: figures.jobs for kind, figures in ahead.items()}
    yield _counters("ahead_jobs", "Jobs done while an utterance was still being said.", "kind", jobs)
    work = {kind: figures.work_s for kind, figures in ahead.items()}
    yield _counters("ahead_work_seconds", "Work of such jobs.", "kind", work)
    used = {kind: figures.used_s for kind, figures in ahead.items()}
    yield _counters("ahead_used_seconds", "Work of such jobs that was used.", "kind", used)


def _stages(stats: Stats) -> Iterator[Metric]:
    stages = stats.stages
    ready = {name: stage.state == "ready" for name, stage in stages.items()}
    yield _gauges("stage_up", "Whether the stage takes jobs.", "stage", ready)
    several = {name: stage.replicas for name, stage in stages.items() if stage.replicas}
    counts = {name: len(replicas) for name, replicas in several.items()}
    yield _gauges("stage_replicas", "Replicas that the stage is to have.", "stage", counts)
    working = {name: sum(one.state == "ready" for one in replicas) for name, replicas in several.items()}
    yield _gauges("stage_replicas_up", "Those of them that take jobs.", "stage", working)
    queues = {name: stage.queue for name, stage in stages.items()}
    yield _gauges("stage_queue_jobs", "Jobs that are not answered.", "stage", queues)
    restarts = {name: stage.restarts for name, stage in stages.items()}
    yield _counters("stage_restarts", "Processes that ended, those replaced on purpose included.", "stage", restarts)
    memory = {name: stage.rss_mb * 1e6 for name, stage in stages.items()}
    yield _gauges("stage_memory_bytes", "Memory of the processes that work.", "stage", memory)
    gpu = {name: stage.gpu_mib * MIB for name, stage in stages.items() if stage.gpu_mib is not None}
    yield _gauges("stage_gpu_memory_bytes", "Graphics memory of its processes.", "stage", gpu)
    queued = [((name,), stage.queued_buckets) for name, stage in stages.items()]
    yield from _histogram(
        "stage_queue_seconds", "From a job asked for to its answer, less its run time.", queued, stats
    )
    run = [((name,), stage.run_buckets) for name, stage in stages.items()]
    yield from _histogram("stage_run_seconds", "At work on a job.", run, stats)
    yield _counter("late_answers", "Answers to jobs that nobody waited for any more.", stats.late_answers)


def _gpu(gpu: GpuFigures) -> Iterator[Metric]:
    yield _gauge("gpu_memory_total_bytes", "Memory of the first card.", gpu.total_mib * MIB)
    yield _gauge("gpu_memory_free_bytes", "What of it nobody has taken.", gpu.free_mib * MIB)
    yield _gauge("gpu_memory_allocated_bytes", "In use by PyTorch in all stages.", gpu.allocated_mib * MIB)
    yield _gauge("gpu_memory_reserved_bytes", "That, and what PyTorch keeps for later.", gpu.reserved_mib * MIB)
    if gpu.utilisation_percent is not None:
        yield _gauge("gpu_utilization_ratio", "How busy the card is, 0 to 1.", gpu.utilisation_percent / 100)
    if gpu.ollama_mib is not None:
        yield _gauge("ollama_gpu_memory_bytes", "What the language model takes.", gpu.ollama_mib * MIB)


def _health(health: Health) -> Iterator[Metric]:
    status = {each: health.status == each for each in STATUSES}
    yield _gauges("status", "1 for what /health says the daemon is.", "status", status)
    yield _gauge("overload_level", "What is left out as results are behind: 0 nothing to 3.", health.overload)
    yield _gauge("problems", "What is wrong with disk, date or language model.", len(health.problems))


# --- of what they are made -------------------------------------------------------------------------


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(f"wernicke_{name}", said, value=float(value))


def _counter(name: str, said: str, value: float) -> Metric:
    return CounterMetricFamily(f"wernicke_{name}", said, value=float(value))


def _gauges(name: str, said: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"wernicke_{name}", said, labels=[label])
    for of, value in values.items():
        family.add_metric([of], float(value))
    return family


def _counters(name: str, said: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"wernicke_{name}", said, labels=[label])
    for of, value in values.items():
        family.add_metric([of], float(value))
    return family


def _histogram(
    name: str, said: str, of: Iterable[tuple[tuple[str, ...], Buckets | None]], stats: Stats
) -> Iterator[Metric]:
    """of: by the stage that it is of, or () for none. Nothing of a daemon that does not count them."""
    found = [(labels, buckets) for labels, buckets in of if buckets is not None]
    if not found:
        return
    family = HistogramMetricFamily(f"wernicke_{name}", said, labels=["stage"][: len(found[0][0])])
    limits = [*(f"{limit / 1000:g}" for limit in stats.bucket_limits_ms), "+Inf"]
    for labels, buckets in found:
        counts = list(zip(limits, map(float, accumulate(buckets.counts)), strict=True))
        family.add_metric(labels, counts, buckets.sum_ms / 1000)
    yield family
