"""The pages /health and /stats: what the daemon sends, and what `wernicke status` and others read.

docs/protocol.md says what each field means. A reader passes over fields that it does not know.
"""

import msgspec


class ReplicaHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Of one of a stage's replicas: those do the same work side by side."""

    state: str  # as in StageHealth, like all but `device`
    device: str  # where its models are to run, as config.toml has it; "" where that is not its own to say
    node: str = ""  # the machine that it runs on; "" for the daemon's own
    pid: int | None
    restarts: int
    why_down: str | None
    doing: str


class StageHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Of one stage."""

    state: str  # a `State`
    pid: int | None  # of its process; None while there is none
    restarts: int  # how many of its processes ended, those replaced on purpose included
    why_down: str | None  # of its last death; None before the first
    engine: str | None  # in use, or the last one that was; None before the first
    doing: str  # what it does, in words
    queue: int = 0  # unanswered jobs
    replicas: list[ReplicaHealth] = []  # by number; of an older daemon none


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """All of /health."""

    status: str  # "starting", "failed", "ok", "unloaded" or "degraded"
    stages: dict[str, StageHealth]  # by name
    active_connections: int  # clients that are connected
    problems: list[str]  # sentences; empty while all is well
    overload: int  # how much is left out, 0 to 3 (see `dispatch/overload.py`)
    behind_s: float = 0.0  # how old the oldest unfinished utterance is, without the time of outages
    gpu_available: bool  # whether the NVIDIA driver shows a card
    vram_free: int | None  # MiB free on the first card; None without one


class Percentiles(msgspec.Struct, frozen=True):
    """None without any value. count: how many values they are of."""

    p50: float | None
    p95: float | None
    count: int
    p99: float | None = None


class Buckets(msgspec.Struct, frozen=True):
    """All values since the start. counts: by bucket, up to each of `bucket_limits_ms`, then those above them all.
    sum_ms: of all together."""

    counts: list[int]
    sum_ms: float


class SessionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one that is not over."""

    session: str  # its id
    attached: bool  # whether its client is connected
    received_s: float  # seconds of audio
    results: int  # that it could send again
    under_way: int  # utterances without a result
    paused: bool  # its socket is not read, because its ring is full


class ReplicaFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one of a stage's replicas."""

    state: str  # as in StageFigures, like all but `device`
    device: str  # as in ReplicaHealth
    node: str = ""  # as in ReplicaHealth
    pid: int | None
    spare_pid: int | None
    epoch: int
    restarts: int
    why_down: str | None
    rss_mb: float
    gpu_mib: int | None


class StageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one stage."""

    queue: int  # unanswered jobs
    epoch: int  # number of the process that works, from 1; 0 while there is none
    restarts: int  # as in StageHealth
    why_down: str | None  # as in StageHealth
    state: str  # a `State`
    pid: int | None  # of the process that works
    spare_pid: int | None  # of the loaded replacement; None where there is none
    rss_mb: float  # megabytes of memory, as it last said
    gpu_mib: int | None  # of graphics memory, spares included; None where it uses none
    queued_ms: Percentiles  # from a job asked for to its answer, less its run time
    run_ms: Percentiles  # at work on a job
    queued_buckets: Buckets | None = None  # of all jobs, as queued_ms; None of an older daemon, like what follows
    run_buckets: Buckets | None = None  # as run_ms
    replicas: list[ReplicaFigures] = []  # by number


class AheadFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Work that was done while an utterance was still being said, and how much of it was used; seconds."""

    jobs: int
    work_s: float
    used_s: float


class CardFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A card, as `ipc.gpu.figures` has it."""

    name: str  # of the card
    driver: str  # its version
    total_mib: int  # all of its memory
    free_mib: int  # what nobody has taken
    utilisation_percent: int | None  # None where the driver does not say


class GpuFigures(CardFigures, frozen=True, kw_only=True):
    """The first card, and what models take of all."""

    allocated_mib: int  # in use by PyTorch in all stages
    reserved_mib: int  # that, and what PyTorch keeps for later
    ollama_mib: int | None  # what the language model takes; None where it is not known
    more_cards: list[CardFigures] = []  # those after the first


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """All of /stats, from the start of the daemon. What ends in `_s` is in seconds."""

    active_sessions: int  # clients that are connected
    total_transcriptions: int  # finals
    suppressed: int  # utterances without words
    undelivered: int  # results at whose time no client was connected
    dropped_s: float  # sound that was too short to be an utterance
    silence_s: float  # audio in no utterance, of sessions that are over
    lost_s: float  # audio lost to faults, of sessions that are over
    average_processing_time: float  # seconds of work per utterance
    latency_ms: Percentiles  # from an utterance's end being found to its result leaving
    errors: dict[str, int]  # number by code
    warnings: dict[str, int]  # number by code, of those in results
    late_answers: int  # of stages, to jobs that nobody waited for any more
    sessions: list[SessionFigures]  # that are not over
    stages: dict[str, StageFigures]  # by name
    gpu_stats: GpuFigures | None  # None without an NVIDIA card
    ahead: dict[str, AheadFigures] = {}  # work while an utterance was still being said, by kind
    vad_lag_ms: Percentiles = Percentiles(None, None, 0)  # the longest that audio of one look waited to be examined
    bucket_limits_ms: list[float] = []  # upper limits of buckets, each within its own
    latency_buckets: Buckets | None = None  # of all, as latency_ms; None of an older daemon
    vad_lag_buckets: Buckets | None = None  # as vad_lag_ms
    corrections_accepted: int = 0  # segments whose text correction replaced
    corrections_refused: dict[str, int] = {}  # segments in which a correction was refused, by reason
    left_out: dict[str, int] = {}  # segments of text that nobody said, by reason
