"""The pages /health and /stats: what the daemon sends, and what `wernicke status` and others read.

docs/protocol.md says what each field means. A reader passes over fields that it does not know.
"""

import msgspec


class StageHealth(msgspec.Struct, frozen=True, kw_only=True):
    state: str
    pid: int | None
    restarts: int
    why_down: str | None
    engine: str | None
    doing: str


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """vram_free: MiB. overload: how much is left out, 0 to 3 (see `dispatch/overload.py`)."""

    status: str
    stages: dict[str, StageHealth]
    active_connections: int
    problems: list[str]
    overload: int
    gpu_available: bool
    vram_free: int | None


class Percentiles(msgspec.Struct, frozen=True):
    """None without any value. count: how many values they are of."""

    p50: float | None
    p95: float | None
    count: int
    p99: float | None = None


class SessionFigures(msgspec.Struct, frozen=True, kw_only=True):
    session: str
    attached: bool
    received_s: float
    results: int
    under_way: int
    paused: bool


class StageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """queued_ms, run_ms: milliseconds. rss_mb: megabytes."""

    queue: int
    epoch: int
    restarts: int
    why_down: str | None
    state: str
    pid: int | None
    spare_pid: int | None
    rss_mb: float
    gpu_mib: int | None
    queued_ms: Percentiles
    run_ms: Percentiles


class AheadFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Work that was done while an utterance was still being said, and how much of it was used; seconds."""

    jobs: int
    work_s: float
    used_s: float


class GpuFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The first card (as `ipc.gpu.figures` has it), and what models take of it."""

    name: str
    driver: str
    total_mib: int
    free_mib: int
    utilisation_percent: int | None
    allocated_mib: int
    reserved_mib: int
    ollama_mib: int | None


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """average_processing_time and what ends in `_s`: seconds."""

    active_sessions: int
    total_transcriptions: int
    suppressed: int
    undelivered: int
    dropped_s: float
    silence_s: float
    lost_s: float
    average_processing_time: float
    latency_ms: Percentiles
    errors: dict[str, int]
    warnings: dict[str, int]
    late_answers: int
    sessions: list[SessionFigures]
    stages: dict[str, StageFigures]
    gpu_stats: GpuFigures | None
    ahead: dict[str, AheadFigures] = {}
    vad_lag_ms: Percentiles = Percentiles(None, None, 0)
