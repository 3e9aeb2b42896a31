"""What is known of the daemon: the pages /health and /stats, which engines run, and what results lack at present."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from ipc.messages import StageName
from wernicke_daemon.dispatch.dispatcher import Dispatcher
from wernicke_daemon.dispatch.overload import PARTIALS_FROM, STAGES_FROM
from wernicke_daemon.dispatch.stage_port import REQUIRED, ReplicaStatus, StagePort, StageStatus, State
from wernicke_daemon.hardware.watch import HardwareWatch
from wernicke_daemon.observability.figures import BUCKET_LIMITS_MS, Ahead, Figures
from wernicke_daemon.observability.pages import (
    AheadFigures,
    Health,
    ReplicaFigures,
    ReplicaHealth,
    StageFigures,
    StageHealth,
    Stats,
)
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.store import ResultStore
from wernicke_daemon.sessions.registry import SessionRegistry
from wernicke_daemon.wire import protocol

SHED_FROM: dict[str, int] = {"partials": PARTIALS_FROM} | {str(stage): level for stage, level in STAGES_FROM.items()}
"""What is left out under load, as clients know it, with the level from which it is."""


class Clients(Protocol):
    """The gateway, as far as it is told of. ready: whether sessions are taken."""

    ready: bool

    @property
    def active(self) -> int:
        """Clients that are connected to a session."""


class Status:
    """Asked by the gateway; told by the dispatcher which stages come and go and what is left out."""

    def __init__(self, figures: Figures, store: ResultStore, journal: Journal | None, hardware: HardwareWatch) -> None:
        # What is counted, since the start.
        self._figures = figures
        # What may be wrong with the disk; None where nothing is journalled.
        self._store = store
        self._journal = journal
        # What the card and Ollama said last.
        self._hardware = hardware
        # What clients were told that results lack, by (stage or "partials", reason), until it is there again.
        self._lacking: dict[tuple[str, str], protocol.Degraded] = {}
        # Set by `connect`, before anything is asked or told: those who make these need this object first.
        self._ports: Mapping[StageName, StagePort]
        self._dispatcher: Dispatcher
        self._sessions: SessionRegistry
        self._clients: Clients

    def connect(
        self,
        ports: Mapping[StageName, StagePort],
        dispatcher: Dispatcher,
        sessions: SessionRegistry,
        clients: Clients,
    ) -> None:
        """The rest of what there is to know something of."""
        self._ports = ports
        self._dispatcher = dispatcher
        self._sessions = sessions
        self._clients = clients

    # --- what results lack ---

    def serving(self) -> None:
        """Sessions are taken from now on: what does not run yet is lacking."""
        for name, stage in self._stages().items():
            self._note(name, protocol.DOWN, lacking=not stage.ready, waiting=0)

    def stage_changed(self, stage: StageName, up: bool) -> None:
        """It came up or went down."""
        if self._clients.ready:
            self._note(stage, protocol.DOWN, lacking=not up, waiting=self._dispatcher.depth(stage))
            self._note(stage, protocol.STARTING, lacking=False, waiting=0)

    def loads(self, stages: Iterable[StageName]) -> None:
        """They were unloaded, and are loaded again."""
        for stage in stages:
            self._note(stage, protocol.STARTING, lacking=True, waiting=self._dispatcher.depth(stage))

    def slow_changed(self, stage: StageName, slow: bool) -> None:
        """It gets less of the CPU than it could use, or does so no more."""
        self._note(stage, protocol.SLOW, lacking=slow, waiting=self._dispatcher.depth(stage))

    def shed_changed(self, level: int) -> None:
        """So much is left out because results are behind."""
        waiting = self._dispatcher.depth("asr")
        for what, begins in SHED_FROM.items():
            self._note(what, protocol.OVERLOAD, lacking=level >= begins, waiting=waiting)

    def _note(self, what: str, reason: str, lacking: bool, waiting: int) -> None:
        """Clients are told once when something begins to be lacking and once when it is back. Those who come between
        get it from `lacking`."""
        if lacking == ((what, reason) in self._lacking):
            return
        if lacking:
            degraded = protocol.Degraded(what, reason, protocol.utc_text(time.time()), waiting)
            self._lacking[what, reason] = degraded
            self._sessions.broadcast("status", degraded)
        else:
            del self._lacking[what, reason]
            self._sessions.broadcast("status", protocol.Restored(what, reason))

    def lacking(self) -> list[protocol.Degraded]:
        """What results lack at the moment, as clients were told when that began."""
        return list(self._lacking.values())

    # --- the stages ---

    def _stages(self) -> dict[StageName, StageStatus]:
        return {name: port.status() for name, port in self._ports.items()}

    def engines(self) -> tuple[dict[str, str], list[str]]:
        """Engine by stage with the reason it was chosen, and the stages that are down."""
        stages = self._stages()
        engines: dict[str, str] = {name: f"{s.engine} ({s.why})" for name, s in stages.items() if s.engine}
        return engines, [name for name, s in stages.items() if not s.ready]

    @property
    def useful(self) -> bool:
        """Whether what is said now is being recognised, or would be by models that the next client has loaded."""
        stages = self._stages()
        return self._clients.ready and all(stages[name].ready or self._rests(name, stages[name]) for name in REQUIRED)

    def _rests(self, name: StageName, stage: StageStatus) -> bool:
        return stage.state is State.UNLOADED and (name, protocol.STARTING) not in self._lacking

    # --- the pages ---

    def health(self) -> Health:
        """The page /health. Its HTTP status is 200 while the daemon is `useful`, else 503."""
        stages = self._stages()
        card = self._hardware.card
        return Health(
            status=self._in_a_word(stages),
            stages={name: _health_of(stage, self._dispatcher.depth(name)) for name, stage in stages.items()},
            active_connections=self._clients.active,
            problems=self._problems(),
            overload=self._dispatcher.shed_level,
            behind_s=round(self._dispatcher.behind_s, 1),
            gpu_available=card is not None,
            vram_free=card["free_mib"] if card else None,
        )

    def _in_a_word(self, stages: Mapping[StageName, StageStatus]) -> str:
        if not self._clients.ready:
            return "starting"
        if any(stages[name].failed for name in REQUIRED):
            return "failed"
        rests = [self._rests(name, stage) for name, stage in stages.items()]
        whole = all(_is_whole(stage) or rest for stage, rest in zip(stages.values(), rests, strict=True))
        if not whole or self._lacking or self._problems():
            return "degraded"
        return "unloaded" if any(rests) else "ok"

    def _problems(self) -> list[str]:
        """What is wrong with replicas that others stand in for, the disk, the date or the language model's memory;
        serving goes on all the same."""
        ready = {name: stage for name, stage in self._stages().items() if stage.ready}
        failed = [line for name, stage in ready.items() for line in _failed_replicas(name, stage)]
        journal = self._journal.problem if self._journal else None
        found = (self._store.problem, self._store.postponed, journal, *self._hardware.problems)
        return [*failed, *(problem for problem in found if problem)]

    def stats(self) -> Stats:
        """The page /stats."""
        figures, stages = self._figures, self._stages()
        return Stats(
            active_sessions=self._clients.active,
            total_transcriptions=figures.transcriptions,
            suppressed=figures.suppressed,
            undelivered=figures.undelivered,
            dropped_s=round(figures.dropped_s, 2),
            silence_s=round(figures.silence_s, 2),
            lost_s=round(figures.lost_s, 2),
            average_processing_time=figures.average_processing_s,
            latency_ms=figures.latency_ms.percentiles(),
            latency_buckets=figures.latency_ms.buckets(),
            vad_lag_ms=figures.vad_lag_ms.percentiles(),
            vad_lag_buckets=figures.vad_lag_ms.buckets(),
            bucket_limits_ms=list(BUCKET_LIMITS_MS),
            corrections_accepted=figures.corrections_accepted,
            corrections_refused=dict(figures.corrections_refused),
            left_out=dict(figures.left_out),
            errors=dict(figures.errors),
            warnings=dict(figures.warnings),
            late_answers=self._dispatcher.late_answers,
            ahead={kind: _figures_ahead(ahead) for kind, ahead in figures.ahead.items()},
            sessions=[session.figures() for session in self._sessions],
            stages={name: self._figures_of(name, stage) for name, stage in stages.items()},
            gpu_stats=self._hardware.stats(stage.gpu for stage in stages.values() if stage.gpu),
        )

    def _figures_of(self, name: StageName, stage: StageStatus) -> StageFigures:
        return StageFigures(
            queue=self._dispatcher.depth(name),
            epoch=stage.epoch,
            restarts=stage.deaths,
            why_down=stage.why_down,
            state=stage.state.value,
            pid=stage.pid,
            spare_pid=stage.spare_pid,
            rss_mb=round(stage.rss_mb, 1),
            gpu_mib=stage.gpu_mib,
            queued_ms=self._figures.queued_ms[name].percentiles(),
            run_ms=self._figures.run_ms[name].percentiles(),
            queued_buckets=self._figures.queued_ms[name].buckets(),
            run_buckets=self._figures.run_ms[name].buckets(),
            replicas=[_replica_figures(replica) for replica in stage.replicas],
        )


def _figures_ahead(ahead: Ahead) -> AheadFigures:
    return AheadFigures(jobs=ahead.jobs, work_s=round(ahead.work_ms / 1000, 1), used_s=round(ahead.used_ms / 1000, 1))


def _is_whole(stage: StageStatus) -> bool:
    return all(replica.ready for replica in stage.replicas)


def _failed_replicas(name: StageName, stage: StageStatus) -> Iterator[str]:
    for number, replica in enumerate(stage.replicas):
        if replica.failed:
            place = " ".join(filter(None, (replica.device, replica.node)))
            yield f"Replica {number} of {name}{f' on {place}' if place else ''} has failed: {replica.why_down}"


def _replica_figures(replica: ReplicaStatus) -> ReplicaFigures:
    return ReplicaFigures(
        state=replica.state.value,
        device=replica.device,
        node=replica.node,
        pid=replica.pid,
        spare_pid=replica.spare_pid,
        epoch=replica.epoch,
        restarts=replica.deaths,
        why_down=replica.why_down,
        rss_mb=round(replica.rss_mb, 1),
        gpu_mib=replica.gpu_mib,
    )


def _replica_health(replica: ReplicaStatus) -> ReplicaHealth:
    return ReplicaHealth(
        state=replica.state.value,
        device=replica.device,
        node=replica.node,
        pid=replica.pid,
        restarts=replica.deaths,
        why_down=replica.why_down,
        doing=replica.doing,
    )


def _health_of(stage: StageStatus, queue: int) -> StageHealth:
    return StageHealth(
        state=stage.state.value,
        pid=stage.pid,
        restarts=stage.deaths,
        why_down=stage.why_down,
        engine=stage.engine,
        doing=stage.doing,
        queue=queue,
        replicas=[_replica_health(replica) for replica in stage.replicas],
    )
