"""What is known of the daemon, from stages that stand anywhere: real dispatcher and figures, and no process.

The pages of a daemon with processes are in `tests/process/test_sessions.py` and others.
"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace

from ipc.messages import STAGES, GpuMemory, Job, StageName
from wernicke_daemon.dispatch.dispatcher import Dispatcher
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.dispatch.stage_port import ReplicaStatus, StageStatus, State
from wernicke_daemon.hardware.watch import HardwareWatch
from wernicke_daemon.observability.figures import Figures
from wernicke_daemon.observability.pages import Health
from wernicke_daemon.records.no_store import NoStore
from wernicke_daemon.sessions.registry import SessionRegistry
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.status import Status
from wernicke_daemon.wire.protocol import Degraded, Restored, ServerMessage

READY = ReplicaStatus(
    state=State.READY,
    failed=False,
    doing="ready",
    engine="real",
    model="large",
    why="the best there is",
    load_ms=1000.0,
    pid=None,
    spare_pid=None,
    epoch=1,
    deaths=0,
    why_down=None,
    rss_mb=100.04,
    gpu=None,
)
DOWN = replace(READY, state=State.BACKOFF, epoch=0, deaths=1, why_down="it died", doing="it died")
FAILED = replace(DOWN, state=State.FAILED, failed=True)

POLICY = Policy(
    diarization_s=2.0,
    correction_s=8.0,
    restart_grace_s=30.0,
    asr_down_limit_s=120.0,
    shed_after_s=20.0,
    job_s=60.0,
    job_per_audio_s=5.0,
    credit=2,
    max_attempts=2,
)


class Elsewhere:
    """A StagePort without any process."""

    def __init__(self) -> None:
        self.now = [READY]

    def send(self, job: Job, replica: int) -> None: ...

    def cancel(self, job_id: int, replica: int) -> None: ...

    def status(self) -> StageStatus:
        return StageStatus.of(self.now)


class NoSessions:
    """told: what all clients were told."""

    def __init__(self) -> None:
        self.told: list[ServerMessage] = []

    def __iter__(self) -> Iterator[Session]:
        return iter(())

    def broadcast(self, event: str, message: ServerMessage) -> None:
        self.told.append(message)


class House:
    """A status and all that it asks, and what it told clients."""

    def __init__(self) -> None:
        self.sessions = NoSessions()
        self.told = self.sessions.told
        self.ports: dict[StageName, Elsewhere] = {name: Elsewhere() for name in STAGES}
        self.clients = SimpleNamespace(ready=True, active=3)
        self.status = Status(Figures(), NoStore(), None, HardwareWatch())
        self.dispatcher = Dispatcher(
            POLICY,
            on_job=lambda stage, kind, timing: None,
            on_status=self.status.stage_changed,
            now=0.0,
            on_shed=self.status.shed_changed,
        )
        self.dispatcher.connect(self.ports)
        self.status.connect(self.ports, self.dispatcher, cast(SessionRegistry, self.sessions), self.clients)

    def become(self, stage: StageName, *replicas: ReplicaStatus) -> None:
        self.ports[stage].now = [*replicas]
        for number, status in enumerate(replicas):
            if status.ready:
                self.dispatcher.replica_up(stage, number, "real", live=False, now=0.0)
            else:
                self.dispatcher.replica_down(stage, number, status.failed, now=0.0)

    def said(self) -> tuple[str, bool]:
        return self.status.health().status, self.status.useful


@pytest.fixture
def house() -> House:
    return House()


def test_in_a_word(house: House) -> None:
    """What /health says first, and whether it is of use."""
    assert house.said() == ("ok", True)
    house.become("diarization", FAILED)
    assert house.said() == ("degraded", True)
    house.become("asr", DOWN)
    assert house.said() == ("degraded", False)
    house.become("asr", FAILED)
    assert house.said() == ("failed", False)
    house.ports["asr"].now = [replace(FAILED, state=State.STARTING)]
    assert house.said() == ("failed", False), "one of its rare starts is under way"
    house.clients.ready = False
    assert house.said() == ("starting", False)


def test_a_problem_of_the_disk_degrades(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage is well; what is said is not kept."""
    monkeypatch.setattr(NoStore, "problem", "The disk is full.")
    health: Health = house.status.health()
    assert (health.status, health.problems, house.status.useful) == ("degraded", ["The disk is full."], True)


def test_clients_are_told_once_when_something_is_lacking_and_once_when_it_is_back(house: House) -> None:
    """A stage that dies again while it is down is no news; who comes between is told what lacks then."""
    for _ in range(2):
        house.become("correction", DOWN)
    [degraded] = house.told
    assert isinstance(degraded, Degraded) and (degraded.stage, degraded.reason) == ("correction", "down")
    assert house.status.lacking() == [degraded]
    house.become("correction", READY)
    assert house.told[1:] == [Restored("correction", "down")] and house.status.lacking() == []


def test_what_is_of_several_replicas_is_summed_up(house: House) -> None:
    """On both pages, with each of them; one that has failed is a problem, not an outage."""
    house.become("asr", READY, READY)
    gone = replace(FAILED, device="cuda:1", why_down="there is no such card", rss_mb=0.0)
    house.become("asr", gone, replace(READY, device="cuda:0", pid=7, gpu=GpuMemory(10, 20)))
    health, stats = house.status.health(), house.status.stats().stages["asr"]
    assert (health.status, house.status.useful, house.told) == ("degraded", True, [])
    assert health.problems == ["Replica 0 of asr on cuda:1 has failed: there is no such card"]
    assert (health.stages["asr"].state, health.stages["asr"].pid, health.stages["asr"].restarts) == ("ready", 7, 1)
    assert [(one.state, one.device, one.pid) for one in health.stages["asr"].replicas] == [
        ("failed", "cuda:1", None),
        ("ready", "cuda:0", 7),
    ]
    assert (stats.rss_mb, stats.gpu_mib, [one.gpu_mib for one in stats.replicas]) == (100.0, 20, [None, 20])
    house.become("asr", replace(READY, deaths=2), READY)
    assert house.said() == ("ok", True) and house.status.health().stages["asr"].restarts == 2


def test_what_is_left_out_under_load_is_told_by_level(house: House) -> None:
    """Each further level adds one; at 0 all are back."""
    house.status.shed_changed(2)
    assert [(each.stage, each.reason) for each in house.status.lacking()] == [
        ("partials", "overload"),
        ("correction", "overload"),
    ]
    house.status.shed_changed(3)
    assert [each.stage for each in house.status.lacking()] == ["partials", "correction", "diarization"]
    assert house.said() == ("degraded", True)
    house.status.shed_changed(0)
    assert house.status.lacking() == [] and house.said() == ("ok", True)


def test_nobody_is_told_of_stages_before_sessions_are_taken(house: House) -> None:
    """Then what is not up yet is lacking."""
    house.clients.ready = False
    house.become("diarization", DOWN)
    assert house.told == []
    house.clients.ready = True
    house.status.serving()
    assert [each.stage for each in house.status.lacking()] == ["diarization"]


def test_a_stage_without_a_process_has_its_row(house: House) -> None:
    """On both pages; its engine with the reason."""
    house.ports["asr"].now = [replace(READY, gpu=GpuMemory(10, 20, process=None))]
    health, stats = house.status.health().stages["asr"], house.status.stats().stages["asr"]
    assert (health.state, health.pid, health.engine, health.doing) == ("ready", None, "real", "ready")
    assert (stats.state, stats.pid, stats.rss_mb, stats.gpu_mib) == ("ready", None, 100.0, 20)
    assert house.status.engines() == (dict.fromkeys(STAGES, "real (the best there is)"), [])


@pytest.mark.parametrize(("gpu", "mib"), [(None, None), (GpuMemory(10, 20), 20), (GpuMemory(10, 20, process=30), 30)])
def test_graphics_memory_is_the_drivers_where_it_says(gpu: GpuMemory | None, mib: int | None) -> None:
    """Else what PyTorch has reserved."""
    assert replace(READY, gpu=gpu).gpu_mib == mib
