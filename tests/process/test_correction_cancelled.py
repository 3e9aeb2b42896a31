"""A correction that is not wanted any more: the request to Ollama is closed, and the next job is answered."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from ipc.arena import Arena
from ipc.errors import JobCancelled
from ipc.messages import Cancel, CorrectionResult, CorrectionWork, Done, Failed, FromStage, Incoming, Job, Ready
from ipc.settings import CorrectionSettings, LlmSettings, StageSettings
from stages.correction import ollama_server
from stages.correction.ollama import OllamaCorrection
from stages.engine import StoppableEngine
from tests import wire
from tests.ollama_server import MODEL, OllamaServer
from tests.process.conftest import embedded
from tests.waiting import eventually, eventually_sync
from wernicke_daemon.config.schema import stage_settings
from wernicke_daemon.daemon import running
from wernicke_daemon.processes.incarnation import Incarnation
from wernicke_daemon.processes.liveness import Limits
from wernicke_daemon.processes.local_peer import LocalPeers
from wernicke_daemon.processes.peer import Events, Identity
from wernicke_daemon.processes.stage_setup import StageSetup

PATIENCE_S = 30.0
"""For things that take milliseconds; half of what a request may take that nobody closes."""

LLM_TIMEOUT_S = 60.0
WHO = Identity("correction", 0, 1)


def settings(server: OllamaServer) -> StageSettings:
    return StageSettings(
        correction=CorrectionSettings(engine="ollama", segments_per_request=1),
        llm=LlmSettings(host=server.url, timeout_s=LLM_TIMEOUT_S),
    )


@pytest.fixture
def server() -> Iterator[OllamaServer]:
    with OllamaServer() as running:
        yield running


class Correction:
    """A warm engine; `unwanted`: whether its job is."""

    def __init__(self, server: OllamaServer) -> None:
        self.engine = OllamaCorrection("correction", settings(server))
        self.engine.load()
        self.engine.warm_up()
        server.requests.clear()
        assert isinstance(self.engine, StoppableEngine)
        self.unwanted = threading.Event()
        self.engine.stop_when(self.unwanted.is_set)

    def correct(self, *texts: str) -> CorrectionResult:
        return self.engine.process(CorrectionWork(texts, "en"), lambda handle: pytest.fail("it needs no audio"))

    @contextmanager
    def cancelled_when(self, due: Callable[[], bool]) -> Iterator[None]:
        """The block's job, as soon as `due`; wanted again afterwards."""

        def cancel() -> None:
            eventually_sync(due)
            self.unwanted.set()

        thread = threading.Thread(target=cancel)
        thread.start()
        yield
        thread.join()
        self.unwanted.clear()


@pytest.fixture
def correction(server: OllamaServer) -> Iterator[Correction]:
    correction = Correction(server)
    yield correction
    correction.engine.close()


def test_a_request_of_a_cancelled_job_is_closed(server: OllamaServer, correction: Correction) -> None:
    """Before its answer; what is left of the job is not asked for. It is no failure of the LLM, and the next job is
    corrected."""
    server.mode = "hang"
    with capture_logs() as logs, correction.cancelled_when(lambda: bool(server.chats())):
        with pytest.raises(JobCancelled):
            correction.correct("one", "two")
        eventually_sync(lambda: server.given_up == ["/api/chat"])
    assert len(server.chats()) == 1
    server.mode = "good"
    assert correction.correct("one") == CorrectionResult(("one.",))
    assert logs == []


def test_a_job_that_waits_for_a_stuck_server_is_left_off(
    server: OllamaServer, correction: Correction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which model is loaded is asked first, and the answer to that may not come either."""
    monkeypatch.setattr(ollama_server, "QUICK_S", LLM_TIMEOUT_S)
    server.ps_hangs = True
    with capture_logs() as logs, correction.cancelled_when(lambda: bool(server.requests)):
        with pytest.raises(JobCancelled):
            correction.correct("one")
        eventually_sync(lambda: server.given_up == ["/api/ps"])
    assert logs == [] and server.chats() == []


def test_a_load_goes_on_beside_jobs_that_are_cancelled(server: OllamaServer, correction: Correction) -> None:
    """Ollama aborts a load whose client hangs up."""
    server.loaded.clear()
    server.mode, server.load_s, server.loads = "slow_load", 0.5, 0
    assert correction.correct("one").warnings == ("LLM_UNAVAILABLE",)
    eventually_sync(lambda: server.loads == 1)
    correction.unwanted.set()
    assert correction.correct("one").warnings == ("LLM_UNAVAILABLE",)
    eventually_sync(lambda: MODEL in server.loaded)
    correction.unwanted.clear()
    eventually_sync(lambda: correction.correct("one") == CorrectionResult(("one.",)))
    assert server.loads == 1 and server.given_up == []


class Stage:
    """A real correction process and the front's end of its line."""

    def __init__(self, server: OllamaServer, arena: Arena) -> None:
        self._said: queue.SimpleQueue[Incoming | FromStage] = queue.SimpleQueue()
        self.lines: list[bytes] = []
        self.ended = threading.Event()
        self.peers = LocalPeers()
        self.process = Incarnation(
            WHO,
            StageSetup(arena.geometry, settings(server), Limits(30.0, 60.0, 30.0), heartbeat_s=1.0),
            self.peers,
            Events(self._said.put, lambda code: self.ended.set(), self.lines.append),
            now=time.monotonic(),
        )

    def until(self, *kinds: type) -> Incoming | FromStage:
        """The next message of one of these kinds."""
        while True:
            message = self._said.get(timeout=PATIENCE_S)
            if isinstance(message, kinds):
                return message
            if not isinstance(message, Done | Failed):
                self.process.heard(message, time.monotonic())

    def close(self) -> None:
        self.process.kill(time.monotonic())
        assert self.ended.wait(PATIENCE_S)
        self.process.close()
        self.peers.stop()


@pytest.fixture
def stage(server: OllamaServer) -> Iterator[Stage]:
    arena = Arena(1, 16_000)
    stage = Stage(server, arena)
    yield stage
    stage.close()
    arena.close()


def test_a_stage_process_is_free_at_once_when_its_job_is_cancelled(server: OllamaServer, stage: Stage) -> None:
    """It closes the request, says CANCELLED, logs no failure and does the job that waited behind."""
    stage.until(Ready)
    server.requests.clear()
    server.next_modes = ["hang"]
    stage.process.send_work(Job(1, CorrectionWork(("one",), "en"), limit_s=LLM_TIMEOUT_S), time.monotonic())
    stage.process.send_work(Job(2, CorrectionWork(("two",), "en"), limit_s=LLM_TIMEOUT_S), time.monotonic())
    eventually_sync(server.chats)
    stage.process.send_order(Cancel(1))
    answer = stage.until(Done, Failed)
    assert isinstance(answer, Failed) and (answer.job_id, answer.code) == (1, "CANCELLED")
    eventually_sync(lambda: server.given_up == ["/api/chat"])
    answer = stage.until(Done, Failed)
    assert isinstance(answer, Done) and (answer.job_id, answer.result) == (2, CorrectionResult(("two.",)))
    assert not any(b"llm_request_failed" in line for line in stage.lines)


async def test_a_request_is_closed_when_its_utterance_has_gone_out(tmp_path: Path, server: OllamaServer) -> None:
    """The whole daemon: the text is out at the deadline, and Ollama need not go on. Recognition only takes time, or it
    might not be over by then."""
    config = embedded(tmp_path)
    config = replace(
        config,
        correction=replace(config.correction, engine="ollama", deadline_s=3.0),
        llm=replace(config.llm, host=server.url, timeout_s=LLM_TIMEOUT_S),
    )
    times = {"asr": 1.0, "diarization": 1.0}
    async with running(config, lambda line: None, replace(stage_settings(config), sleep_ms=times)) as daemon:
        server.mode = "hang"
        (final,) = wire.finals(await wire.transcribe(daemon.port, wire.turn(2).astype("<f4").tobytes()))
        await eventually(lambda: server.given_up == ["/api/chat"])
    assert final["text"] and final["warnings"] == ["LLM_TIMEOUT"]
    assert "llm_request_failed" not in config.log_path.read_text("utf-8")
