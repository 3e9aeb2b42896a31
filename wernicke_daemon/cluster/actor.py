"""One actor, and what a stage process would do in its place: HELLO → INIT → an engine is loaded → READY → one job after
another → STOP. It runs `stages.process.hosted`, which is named here and not imported: stages and front never do that.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

import ray
from msgspec.structs import replace
from ray.exceptions import RayActorError, RayError

from ipc import codec
from ipc.arena import NO_JOB, ArenaReader
from ipc.errors import OutOfGpuMemory, StaleHandle
from ipc.messages import (
    AsrWork,
    Cancel,
    DiarizationWork,
    Done,
    Failed,
    FromStage,
    Heartbeat,
    Hello,
    Incoming,
    Init,
    Job,
    Loading,
    Ready,
    Stop,
    Unusable,
)
from wernicke_daemon.cluster import placement
from wernicke_daemon.cluster.audio import SharedAudio
from wernicke_daemon.cluster.messages import Begin, Gone
from wernicke_daemon.processes.peer import Identity

HOSTED = ("stages.process.hosted", "Hosted")

PLACE_S = 60.0
"""For a node with room, and for a process to start there."""

CLOSE_S = 0.7
"""For an engine to be closed at a stop, of which the front does not wait longer than a second."""

Said = FromStage | Incoming | Gone


class Actor:
    """From its begin to its end: `run`."""

    def __init__(
        self, who: Identity, begin: Begin, arena: ArenaReader, audio: SharedAudio, say: Callable[[Said], None]
    ) -> None:
        self._who = who
        self._begin = begin
        self._arena = arena  # where what is known of a job is noted, as a stage process does
        self._audio = audio
        self._say = say
        self._actor: Any = None  # Ray's handle; None before it is asked for
        self._node = ""  # the machine that it runs on
        self._parts = 0  # of jobs that it has said it has done
        self._init: asyncio.Future[Init] = asyncio.get_running_loop().create_future()
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self._stopped = asyncio.Event()  # its end was asked for, in good time

    def told(self, what: Init | Job | Cancel | Stop) -> None:
        match what:
            case Init():
                self._init.set_result(what)
            case Job():
                self._jobs.put_nowait(what)
            case Cancel(job_id):
                if self._actor is not None:
                    self._actor.cancel.options(concurrency_group="orders").remote(job_id)
            case Stop():
                self._stopped.set()

    async def run(self) -> str:
        """How it ended, to stand behind "its process". Nothing is left of it then, nor where this is cancelled."""
        living = asyncio.create_task(self._live())
        stopping = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait((living, stopping), return_when=asyncio.FIRST_COMPLETED)
            return living.result() if living.done() else await self._close()
        finally:
            living.cancel()
            stopping.cancel()
            self._kill()

    def _kill(self) -> None:
        if self._actor is not None:
            with contextlib.suppress(RayError, ValueError):
                ray.kill(self._actor)

    async def _close(self) -> str:
        with contextlib.suppress(TimeoutError, RayError):
            async with asyncio.timeout(CLOSE_S):
                if self._actor is not None:
                    await self._actor.close.remote()
        return "was stopped"

    async def _live(self) -> str:
        """Returns how it ended."""
        self._say(Hello(os.getpid()))
        try:
            return await self._work()
        except RayActorError as error:
            return f"was lost: {_sentence(error)}"
        except RayError as error:
            return f"can't go on: {_sentence(error)}"

    async def _work(self) -> str:
        init = await self._init
        self._say(Loading("waits for a place in the Ray cluster"))
        if (why_not := await self._place()) is not None:
            self._say(Unusable(why_not))
            return "found no place in the Ray cluster"
        listening = asyncio.create_task(self._listen())
        doing = asyncio.create_task(self._load_and_do(init))
        try:
            done, _ = await asyncio.wait((listening, doing), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            listening.cancel()
            doing.cancel()
        return "ended"

    async def _place(self) -> str | None:
        """Why there is no actor."""
        hosted = getattr(import_module(HOSTED[0]), HOSTED[1])
        cpus, gpus = self._begin.share.cpus, placement.cards(self._begin.share, ray.cluster_resources())
        if not placement.possible(cpus, gpus, ray.nodes()):
            return placement.no_room(cpus, gpus, ray.nodes())
        self._actor = (
            ray.remote(concurrency_groups={"reports": 1, "orders": 1})(hosted)
            .options(
                name=".".join(map(str, self._who)),
                num_cpus=cpus,
                num_gpus=gpus,
                scheduling_strategy="SPREAD",
                max_restarts=0,
                max_task_retries=0,
                runtime_env={"env_vars": self._begin.variables},
            )
            .remote(*self._who, self._begin.heartbeat_s)
        )
        try:
            async with asyncio.timeout(PLACE_S):
                there = await self._actor.enter.remote()
                node_id = await self._actor.__ray_call__.remote(_node_id)
        except TimeoutError:
            return placement.no_room(cpus, gpus, ray.nodes())
        except RayError as error:
            return f"Its actor could not be started: {_sentence(error)}"
        self._node = placement.name(node_id, ray.nodes())
        if there != (here := version("wernicke-daemon")):
            return f"{self._node} has wernicke-daemon {there}, and this machine {here}; install the same on both."
        return None

    async def _listen(self) -> None:
        """Raises what its end is told by."""
        while True:
            reports = self._actor.reports.options(concurrency_group="reports", num_returns="streaming").remote()
            async for report in reports:
                self._heard(codec.decode_from_stage(await report))

    def _heard(self, message: FromStage) -> None:
        match message:
            case Heartbeat(parts=parts):
                self._note_parts(parts)
            case Ready():
                message = replace(message, node=self._node)
            case Unusable(reason):
                message = Unusable(f"On {self._node}: {reason}")
        self._say(message)

    def _note_parts(self, parts: int) -> None:
        for _ in range(parts - self._parts):
            self._arena.progressed(self._who.stage, self._who.replica)
        self._parts = parts

    async def _load_and_do(self, init: Init) -> None:
        await self._actor.load.remote(codec.encode(init), self._begin.load_limit_s)
        while True:
            answer = await self._do(await self._jobs.get())
            self._say(answer)
            if isinstance(answer, Failed) and answer.code == OutOfGpuMemory.code:
                await self._stopped.wait()  # it has had its chance: what it holds comes back with its end

    async def _do(self, job: Job) -> Done | Failed:
        """What it is at is noted before it can know: what it says last may be lost with it."""
        try:
            audio = self._audio.of(job.work.audio) if isinstance(job.work, AsrWork | DiarizationWork) else None
        except StaleHandle as error:
            return Failed(job.job_id, error.code, str(error), 0.0)
        self._arena.mark(self._who.stage, self._who.replica, job.job_id)
        answer = codec.decode_incoming(await self._actor.do.remote(codec.encode(job), audio))
        self._arena.mark(self._who.stage, self._who.replica, NO_JOB)
        return answer


def _node_id(hosted: object) -> str:
    """Called in the actor."""
    return str(ray.get_runtime_context().get_node_id())


def _sentence(error: Exception) -> str:
    """Of what Ray says in many lines, the one that matters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "exit detail:" in line or line.startswith("The actor is dead")]
    return (named or lines[-1:] or [type(error).__name__])[0]
