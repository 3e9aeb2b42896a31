"""When stages are really started again, and hangs really noticed: the supervisor on a clock that nobody waits for.

Processes are what a test says they are. Supervisor, incarnations, limits and restart policy are the real ones.
"""

import asyncio
import selectors
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from ipc.audio_handle import AudioHandle
from ipc.errors import OutOfGpuMemory
from ipc.messages import (
    AsrResult,
    AsrWork,
    Done,
    Failed,
    FromStage,
    Heartbeat,
    Hello,
    Job,
    Ready,
    StageName,
    Started,
    Unusable,
)
from ipc.settings import StageSettings
from wernicke_daemon.dispatch.stage_port import State
from wernicke_daemon.processes import threads
from wernicke_daemon.processes.child import Child
from wernicke_daemon.processes.incarnation import Incarnation
from wernicke_daemon.processes.liveness import REAP_S, Limits
from wernicke_daemon.processes.local_peer import LocalPeers
from wernicke_daemon.processes.place import Place
from wernicke_daemon.processes.pool import StartFailed
from wernicke_daemon.processes.restart_policy import RestartPolicy
from wernicke_daemon.processes.stage_setup import StageSetup
from wernicke_daemon.processes.supervisor import Supervisor

LIMITS = Limits(hello_s=30.0, load_s=900.0, silence_s=10.0)
JOB_S = 4.0
FIRST_S = 500.0
MOST = 5
STABLE_S = 60.0
SOON_S = 0.5
"""Within which a limit that has passed is noticed."""

JOB = Job(7, AsrWork(AudioHandle("arena", 0, 1, 0, 512), "en"), JOB_S)
LOADED = (Hello(0), Ready("sleep", "sleep", "for a test", 1.0))

HANGS: dict[str, tuple[tuple[FromStage, ...], float]] = {
    "did not say hello": ((), LIMITS.hello_s),
    "did not finish loading": ((Hello(0),), LIMITS.load_s + 1.0),
    "worked on job": ((*LOADED, Started(7, JOB_S)), JOB_S + 1.0),
    "sent no heartbeat": (LOADED, LIMITS.silence_s),
}
"""What a process says before it hangs, and how long it is waited for: a second in which it writes its stacks, too."""


class Clock(asyncio.SelectorEventLoop):
    """An event loop in which time passes only where it would wait, and then at once. now: seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Jump(self))

    def time(self) -> float:
        return self.now


class _Jump(selectors.DefaultSelector):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._clock.now += timeout or 0.0
        return super().select(0)


class Process:
    """Stands for a stage's process. started, killed: when; killed is None while it was not. stuck: in a driver, so that
    it does not end when it is killed. used_s: CPU seconds; None for a system that does not say."""

    pid = 0
    dropped_lines = 0

    def __init__(self, clock: Clock, on_exit: Callable[[int], None]) -> None:
        self.started = clock.time()
        self.killed: float | None = None
        self.stuck = False
        self.used_s: float | None = None
        self.exit = on_exit
        self._clock = clock

    def cpu_s(self) -> float | None:
        return self.used_s

    def kill(self) -> None:
        self.killed = self._clock.time()
        if not self.stuck:
            self.exit(-9)


class Machine:
    """One stage, supervised. processes: all that were started for it. full: there is no room for another. down: each
    time that it was said to be, whether it had failed. up: how often it was said to be ready. loading: when it was said
    to load. slow: what was said of that. unloaded: when it was said to be."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        clock: Clock,
        run: Callable[[Any], Any],
        standby: tuple[StageName, ...],
        names: tuple[StageName, ...] = ("asr",),
        replicas: int = 1,
    ) -> None:
        self.clock = clock
        self._replicas = replicas
        self.processes: list[Process] = []
        self.full = False
        self.down: list[bool] = []
        self.up = 0
        self.loading: list[float] = []
        self.slow: list[bool] = []
        self.unloaded: list[float] = []
        self._standby = standby
        self._names = names
        self._run = run
        patch.setattr(Child, "start", self._start)
        run(self._begin())

    def _start(
        self, arguments: object, boot: bytes, on_exit: Callable[[int], None], on_line: object, variables: object
    ) -> Process:
        if self.full:
            raise OSError("no room")
        self.processes.append(Process(self.clock, on_exit))
        return self.processes[-1]

    async def _begin(self) -> None:
        setup = StageSetup("", StageSettings(), LIMITS, heartbeat_s=1.0)
        place = Place(setup, LocalPeers(), job_at_death=lambda: None, progress=lambda: 0)
        self.supervisor = Supervisor(
            {name: [place] * self._replicas for name in self._names},
            lambda: RestartPolicy(MOST, 3600.0, FIRST_S, FIRST_S, STABLE_S, jitter=lambda: 1.0),
            self,
            on_line=lambda stage, replica, line: None,
            standby=self._standby,
        )
        self.stage = self.supervisor.replicas("asr")[0]
        self.starting = asyncio.create_task(self.supervisor.start())

    def wait(self, seconds: float) -> None:
        self._run(asyncio.sleep(seconds))

    def say(self, *messages: FromStage) -> None:
        """The newest process says so."""
        for message in messages:
            self.stage.received(max(self.stage.status().epoch, len(self.processes)), message)

    def beat(self, seconds: float) -> None:
        """So long it is idle, and alive."""
        for _ in range(round(seconds)):
            self.say(Heartbeat(1.0))
            self.wait(1.0)

    def stop(self) -> None:
        self._run(self.supervisor.stop())

    # --- the StageListener ---

    def replica_up(self, stage: StageName, replica: int, engine: str, live: bool, now: float) -> None:
        self.up += 1

    def replica_down(self, stage: StageName, replica: int, failed: bool, now: float) -> None:
        self.down.append(failed)

    def replica_loading(self, stage: StageName, replica: int, now: float) -> None:
        self.loading.append(now)

    def replica_unloaded(self, stage: StageName, replica: int, now: float) -> None:
        self.unloaded.append(now)

    def replica_slow(self, stage: StageName, replica: int, slow: bool) -> None:
        self.slow.append(slow)

    def job_started(self, stage: StageName, replica: int, job_id: int) -> None: ...

    def job_answered(self, stage: StageName, replica: int, answer: Done | Failed, now: float) -> None: ...


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Its first process has just been started. The fixture's parameter: stages that have a spare."""
    clock = Clock()
    with asyncio.Runner(loop_factory=lambda: clock) as runner:
        machine = Machine(monkeypatch, clock, runner.run, getattr(request, "param", ()))
        machine.wait(0)
        yield machine
        machine.stop()


# --- restarts --------------------------------------------------------------------------------------


def test_after_stable_running_nothing_is_waited_for(machine: Machine) -> None:
    """The next process is started in the very moment in which the end of the one before is known, every time."""
    for _ in range(3):
        machine.say(*LOADED)
        machine.beat(STABLE_S)
        machine.processes[-1].exit(3)
        died = machine.clock.now
        machine.wait(1.0)
        assert machine.processes[-1].started == died
    assert len(machine.processes) == 4


def test_further_deaths_wait_for_the_backoff_and_no_longer(machine: Machine) -> None:
    """One that dies while it loads was not stable."""
    machine.processes[-1].exit(3)
    machine.wait(1.0)
    machine.processes[-1].exit(3)
    died = machine.clock.now
    machine.wait(FIRST_S)
    assert [process.started for process in machine.processes] == [0.0, 0.0, pytest.approx(died + FIRST_S)]


def test_a_new_choice_of_engine_is_loaded_beside_the_process_that_works(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That one is asked to stop when the new one is ready, which takes over at once. Nothing is started twice."""
    stage = machine.stage
    asked: list[int] = []
    monkeypatch.setattr(Incarnation, "ask_to_stop", lambda self: asked.append(self.epoch))
    machine.say(*LOADED)
    for _ in range(2):
        stage.choose_again("for a test")
    machine.wait(1.0)
    assert (stage.status().state, stage.status().epoch, asked, len(machine.processes)) == (State.READY, 1, [], 2)
    machine.say(*LOADED)
    assert (stage.status().state, stage.status().epoch, asked) == (State.READY, 1, [1])
    machine.processes[0].exit(0)
    with structlog.testing.capture_logs() as log:
        machine.wait(1.0)
    assert [line["event"] for line in log] == ["stage_replaced"], "nothing died"
    assert (machine.up, machine.down) == (2, []), "nothing was lacking at any time"
    assert (stage.status().state, stage.status().epoch, stage.status().why_down) == (State.READY, 2, "for a test")
    machine.beat(FIRST_S)
    assert (stage.status().spare_pid, len(machine.processes)) == (None, 2)


def test_why_an_engine_was_chosen_is_told_after_a_restart_too(machine: Machine) -> None:
    """The next process is told by name what to load, and would say that it was configured so."""
    stage = machine.stage
    chosen = Ready("pocketsphinx", "en-us", "there is no faster-whisper", 1.0)
    machine.say(Hello(0), chosen)
    machine.processes[-1].exit(3)
    machine.wait(1.0)
    machine.say(Hello(0), Ready("pocketsphinx", "en-us", "as configured", 2.0))
    assert (stage.status().epoch, stage.status().why, stage.status().load_ms) == (2, chosen.why, 2.0)


def test_a_process_that_can_not_be_started_is_a_death(machine: Machine) -> None:
    """The machine has no room for it, again and again: the start is given up, and the stage counts as failed."""
    machine.full = True
    machine.processes[0].exit(3)
    stage = machine.stage
    machine.wait(1.0)
    assert (stage.status().state, stage.decided.is_set()) == (State.BACKOFF, False)
    machine.wait(MOST * FIRST_S)
    assert (stage.status().state, stage.decided.is_set(), machine.down[-1]) == (State.FAILED, True, True)
    assert "no room" in str(stage.unusable)
    machine.full = False
    machine.wait(FIRST_S)
    machine.say(*LOADED)
    assert stage.status().state is State.READY


@pytest.mark.parametrize("machine", [("asr",)], indirect=True)
def test_a_spare_that_can_not_be_started_is_not_held_against_the_stage(machine: Machine) -> None:
    """The machine has no room for it, again and again; the process that works ran stably all the same."""
    machine.full = True
    machine.say(*LOADED)
    machine.beat(2 * FIRST_S)
    machine.full = False
    machine.processes[0].exit(3)
    died = machine.clock.now
    machine.wait(1.0)
    assert [process.started for process in machine.processes] == [0.0, died]


# --- hangs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", HANGS)
def test_a_hang_is_noticed_soon_after_its_limit(machine: Machine, reason: str) -> None:
    """In every phase: killed neither before its limit nor much later, and replaced."""
    before, limit_s = HANGS[reason]
    machine.say(*before)
    with structlog.testing.capture_logs() as log:
        machine.wait(limit_s + SOON_S)
    killed = machine.processes[0].killed
    assert killed is not None and limit_s < killed <= limit_s + SOON_S
    assert [line["reason"].startswith(reason) for line in log if line["event"] == "stage_hung"] == [True]
    assert len(machine.processes) == 2


@pytest.mark.parametrize("said", [(), (Started(7, JOB_S), Failed(7, OutOfGpuMemory.code, "no room", 1.0))])
def test_a_process_that_beats_and_takes_no_job_is_replaced(machine: Machine, said: tuple[Any, ...]) -> None:
    """It is stuck where it gives memory back after a job, say, or while it ends as it was asked to. A job that is not
    begun has no limit of its own."""
    machine.say(*LOADED)
    stage = machine.stage
    stage.send(JOB)
    machine.say(*said)
    if said:
        stage.send(JOB)
    machine.beat(LIMITS.silence_s)
    assert machine.processes[0].killed is None
    machine.beat(1.0)
    assert machine.processes[0].killed is not None
    assert len(machine.processes) == 2


def test_a_process_that_can_not_be_killed_is_left_behind(machine: Machine) -> None:
    """It is stuck in a driver: that is said once, and another works in its place. Its end, if it comes, is nobody's."""
    machine.say(*LOADED)
    machine.processes[0].stuck = True
    stage = machine.stage
    with structlog.testing.capture_logs() as log:
        machine.wait(LIMITS.silence_s + SOON_S)
        machine.say(Started(7, JOB_S), Done(7, AsrResult("en", 1.0, (), "none"), 1.0))  # was on its way
        machine.wait(REAP_S - SOON_S)
        assert [line["event"] for line in log] == ["stage_hung"]
        machine.wait(1.0)
    assert [line["event"] for line in log] == ["stage_hung", "stage_not_reaped", "stage_died"]
    assert (stage.status().why_down, len(machine.processes)) == ("its process could not be killed", 2)
    machine.say(*LOADED)
    machine.processes[0].exit(-9)
    machine.wait(1.0)
    assert (stage.status().state, stage.status().epoch, stage.status().deaths) == (State.READY, 2, 1)


def test_time_in_which_the_machine_slept_is_no_hang(machine: Machine) -> None:
    """A job that the PC's sleep fell into still has what was left of its time."""
    machine.say(*LOADED, Started(7, JOB_S))
    machine.wait(JOB_S / 2)
    machine.clock.now += 3600.0
    machine.wait(JOB_S / 2)
    assert machine.processes[0].killed is None
    machine.wait(1.0 + SOON_S)
    assert machine.processes[0].killed is not None


# --- the start -------------------------------------------------------------------------------------


def test_no_more_processes_import_at_a_time_than_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next is started when one of them has connected, or has ended, whatever its loading takes."""
    monkeypatch.setattr(threads, "cores", lambda: 2)
    clock = Clock()
    with asyncio.Runner(loop_factory=lambda: clock) as runner:
        machine = Machine(monkeypatch, clock, runner.run, (), names=("ingest", "asr", "diarization", "correction"))
        stages = {name: machine.supervisor.replicas(name)[0] for name in machine.supervisor.ports}
        machine.wait(1.0)
        assert [name for name, stage in stages.items() if stage.status().pid is not None] == ["asr", "diarization"]
        stages["diarization"].received(1, Hello(0))
        machine.wait(1.0)
        assert [name for name, stage in stages.items() if stage.status().pid is None] == ["ingest"]
        machine.processes[0].exit(3)
        machine.wait(1.0)
        assert stages["ingest"].status().pid is not None
        machine.stop()


def test_a_start_ends_where_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few may import at a time: one that can't be started takes nobody's place."""
    monkeypatch.setattr(threads, "cores", lambda: 1)
    clock = Clock()
    with asyncio.Runner(loop_factory=lambda: clock) as runner:
        machine = Machine(monkeypatch, clock, runner.run, (), names=("asr", "correction", "ingest"))
        machine.full = True
        machine.wait(MOST * FIRST_S * 2)
        assert isinstance(machine.starting.exception(), StartFailed)
        machine.stop()


# --- replicas --------------------------------------------------------------------------------------


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Three replicas, whose first processes have just been started, in their order."""
    monkeypatch.setattr(threads, "cores", lambda: 3)
    clock = Clock()
    with asyncio.Runner(loop_factory=lambda: clock) as runner:
        machine = Machine(monkeypatch, clock, runner.run, (), replicas=3)
        machine.wait(0)
        yield machine
        machine.stop()


def test_a_start_waits_for_each_once_and_then_for_one(three: Machine) -> None:
    """It goes on with those that are ready, whatever becomes of one that keeps crashing."""
    first, second, third = three.supervisor.replicas("asr")
    second.received(1, Hello(0))
    second.received(1, LOADED[1])
    three.wait(1.0)
    assert not three.starting.done(), "the others may be ready in a moment, too"
    three.processes[0].exit(3)
    third.received(1, Hello(0))
    three.wait(1.0)
    assert not three.starting.done()
    third.received(1, LOADED[1])
    three.wait(1.0)
    assert three.starting.done() and three.starting.exception() is None
    assert [replica.status().ready for replica in (first, second, third)] == [False, True, True]


def test_a_start_fails_where_none_can_be_used(three: Machine) -> None:
    """With the reasons of all, each once. One that finds no engine alone is told of, and tried again."""
    replicas = three.supervisor.replicas("asr")
    for replica, why in zip(replicas, ("no card", "no card", "no model"), strict=True):
        replica.received(1, Hello(0))
        replica.received(1, Unusable(why))
    three.wait(1.0)
    failed = three.starting.exception()
    assert isinstance(failed, StartFailed) and str(failed) == "no card; no model"


def test_one_that_finds_no_engine_is_left_out_and_tried_again(three: Machine) -> None:
    first, *others = three.supervisor.replicas("asr")
    for replica in others:
        replica.received(1, Hello(0))
        replica.received(1, LOADED[1])
    first.received(1, Hello(0))
    with structlog.testing.capture_logs() as log:
        first.received(1, Unusable("no card"))
        three.wait(1.0)
    assert three.starting.done() and three.starting.exception() is None
    [told] = [line for line in log if line["event"] == "started_without"]
    assert (told["stage"], told["replica"], told["reason"]) == ("asr", 0, "no card")
    assert len(three.processes) == 4 and first.status().epoch == 2
    first.received(2, Hello(0))
    first.received(2, LOADED[1])
    assert three.supervisor.ports["asr"].status().ready and first.status().ready


def test_one_that_finds_an_engine_the_second_time_is_no_longer_left_out(three: Machine) -> None:
    """The start is not held up by it, and does not fail where it is the only one that is ready."""
    first, *others = three.supervisor.replicas("asr")
    first.received(1, Hello(0))
    first.received(1, Unusable("its memory is in use"))
    three.wait(1.0)
    first.received(2, Hello(0))
    first.received(2, LOADED[1])
    for replica in others:
        replica.received(1, Hello(0))
        replica.received(1, Unusable("no card"))
    with structlog.testing.capture_logs() as log:
        three.wait(1.0)
    assert three.starting.done() and three.starting.exception() is None
    assert [line["replica"] for line in log if line["event"] == "started_without"] == [1, 2]


def test_each_dies_waits_and_is_numbered_by_itself(three: Machine) -> None:
    """One whose processes never get anywhere is held against no other."""
    _, *others = three.supervisor.replicas("asr")
    for replica in others:
        replica.received(1, Hello(0))
        replica.received(1, LOADED[1])
    while not three.down or not three.down[-1]:
        for replica in others:
            replica.received(1, Heartbeat(1.0))
        three.wait(1.0)
    status = three.supervisor.ports["asr"].status()
    assert [(replica.failed, replica.deaths, replica.epoch) for replica in status.replicas] == [
        (True, MOST + 1, 0),
        (False, 0, 1),
        (False, 0, 1),
    ]
    assert (status.state, status.failed, status.deaths) == (State.READY, False, MOST + 1)


def test_a_new_choice_is_for_those_that_chose_nothing(three: Machine) -> None:
    """What works stays: the next choice might be worse."""
    for replica, engine in zip(three.supervisor.replicas("asr"), ("ollama", "none", "none"), strict=True):
        replica.received(1, Hello(0))
        replica.received(1, Ready(engine, "", "the best there is", 1.0))
    three.supervisor.choose_again("asr", "for a test")
    replicas = three.supervisor.ports["asr"].status().replicas
    assert [replica.spare_pid is not None for replica in replicas] == [False, True, True]


# --- unloading -------------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", [("asr",)], indirect=True)
def test_an_unloaded_stage_has_no_process_and_no_death(machine: Machine) -> None:
    """Spare and all are ended; nothing starts one but a load, which brings back the engine that was in use."""
    stage = machine.stage
    machine.say(*LOADED)
    machine.wait(1.0)
    machine.say(*LOADED)
    machine._run(machine.supervisor.unload(("asr",)))
    assert [process.killed is None for process in machine.processes] == [False, False]
    stage.choose_again("for a test")
    machine.wait(10 * FIRST_S)
    status = stage.status()
    assert (status.state, status.pid, status.spare_pid, status.deaths) == (State.UNLOADED, None, None, 0)
    assert (len(machine.processes), machine.down, len(machine.unloaded)) == (2, [], 1)
    machine._run(machine.supervisor.load(("asr",), one_by_one=False))
    assert (stage.status().state, len(machine.processes), len(machine.loading)) == (State.STARTING, 3, 2)
    machine.say(*LOADED)
    assert (stage.status().state, stage.status().deaths) == (State.READY, 0)


def test_one_by_one_a_load_that_dies_is_not_waited_for(machine: Machine) -> None:
    """The next model does not wait for one that can't be loaded."""
    machine.say(*LOADED)
    machine._run(machine.supervisor.unload(("asr",)))

    async def load() -> None:
        loading = asyncio.create_task(machine.supervisor.load(("asr",), one_by_one=True))
        await asyncio.sleep(LIMITS.hello_s / 2)
        assert not loading.done()
        machine.processes[-1].exit(3)
        await loading

    machine._run(load())
    assert machine.down == [False]
