"""The one loop that all stages share.

Life of a stage process, after `stages.process.runner` has read its boot record: tie itself to its parent → connect →
HELLO → wait for INIT → load and warm up an engine → READY → one job after another → STOP. Whatever it is doing, it may
be killed: it keeps nothing that the front does not have.
"""

import faulthandler
import gc
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import structlog
import zmq

from ipc import channels, clock, codec, dll, parent_watch, win32
from ipc.arena import NO_JOB, ArenaReader
from ipc.audio_handle import VAD_WINDOW, Audio, AudioHandle
from ipc.channels import Boot, Socket
from ipc.errors import EngineUnavailable, JobCancelled, OutOfGpuMemory, WernickeError
from ipc.messages import (
    Done,
    Failed,
    GpuMemory,
    Init,
    Job,
    Loading,
    Ready,
    Result,
    StageName,
    Started,
    Unusable,
    Work,
)
from stages.engine import Engine, GpuEngine, LiveEngine, ReadAudio, SteppingEngine, StoppableEngine
from stages.gpu import card
from stages.gpu.errors import is_device_error, is_out_of_memory
from stages.level import brought_up
from stages.process import engine_registry, logs, scratch
from stages.process.control import Control
from stages.process.surroundings import Reports, Source
from stages.testing.faults import Faults

BROKEN = 1
"""Exit status of a process that can't do any more jobs."""

_log = structlog.get_logger()


def run(record: bytes) -> None:
    """record: a Boot in msgpack. Does not return."""
    boot = msgspec.msgpack.decode(record, type=Boot)
    parent_watch.watch_parent(boot.parent_pid, boot.parent_fd)
    logs.configure(boot.stage, boot.replica, boot.epoch)
    context: zmq.Context[Socket] = zmq.Context()
    control = Control(context, boot, os.getpid())
    work = channels.connect(context, zmq.PULL, boot.work, boot)
    results = channels.connect(context, zmq.PUSH, boot.results, boot)
    init = control.wait_for_init()
    if init.settings.scratch:
        scratch.use(Path(init.settings.scratch))
    stage = msgspec.convert(boot.stage, StageName)
    card.see_only(card.of(stage, init.settings))
    faults = Faults(stage, boot.epoch, init.settings.faults.get(stage, ()))
    with stacks_after(boot.load_limit_s):
        engine = start_engine(stage, init, control, faults)
    if engine is not None:
        arena = ArenaReader(init.arena)
        worker = Worker(stage, boot.replica, engine, arena, control, faults, init.settings.release_after_utterance)
        try:
            serve(worker, control.stop_signal, work, results)
        except Exception:
            traceback.print_exc()
            leave(BROKEN)
        engine.close()
    else:
        control.stop_signal.recv()
    leave(0)


def leave(status: int) -> None:
    """Native libraries can crash while they unload (CTranslate2 on Windows does), so nothing is unloaded."""
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":
        win32.end_at_once(status)
    os._exit(status)


@contextmanager
def stacks_after(limit_s: float) -> Iterator[None]:
    """Every thread's stack goes to stderr if the block takes longer, even where C code holds the GIL all that time."""
    faulthandler.dump_traceback_later(limit_s)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def start_engine(stage: StageName, init: Init, control: Reports, faults: Faults) -> Engine | None:
    """The first engine that can be loaded and warmed up; None (and UNUSABLE said) if there is none."""
    refused: list[str] = []
    names = engine_registry.wanted(stage, init.settings)
    for name in names:
        began = clock.monotonic()
        control.report(Loading(f"loading {name}"))
        try:
            engine = load(stage, name, init, faults)
        except EngineUnavailable as error:
            refused.append(str(error))
            continue
        keep_loaded_objects_out_of_collections()
        why = "; ".join(refused) or ("as configured" if len(names) == 1 else "the best there is")
        control.gpu = gpu_memory(engine)
        live = isinstance(engine, LiveEngine) and engine.live
        control.report(Ready(name, engine.model, why, elapsed_ms(began), control.gpu, live))
        return engine
    control.report(Unusable("; ".join(refused)))
    return None


def load(stage: StageName, name: str, init: Init, faults: Faults) -> Engine:
    """Loaded and warmed up. Raises EngineUnavailable, whatever went wrong."""
    try:
        return _load(stage, name, init, faults)
    except EngineUnavailable as error:
        if (reason := dll.why(error)) is not None:
            raise EngineUnavailable(f"{stage} engine {name!r}: {reason}") from error
        raise


def _load(stage: StageName, name: str, init: Init, faults: Faults) -> Engine:
    """Raises EngineUnavailable."""
    engine = engine_registry.create(stage, name, init.settings)
    try:
        faults.at_load()
        engine.load()
        engine.warm_up()
        brought_up(np.zeros(VAD_WINDOW, np.float32))  # numpy imports more at its first percentile: 20 ms
    except EngineUnavailable:
        engine.close()
        raise
    except Exception as error:
        engine.close()
        raise EngineUnavailable(f"{stage} engine {name!r} failed to start: {error}") from error
    return engine


def keep_loaded_objects_out_of_collections() -> None:
    """What was loaded lives as long as the process. With PyTorch and pyannote loaded a collection, such as the one
    before cached GPU memory is given back, takes 260 ms; without their objects 0.1 ms (docs/measurements.md)."""
    gc.collect()
    gc.freeze()


def serve(worker: "Worker", stop: Socket, work: Socket, results: Socket) -> None:
    """Jobs until STOP, or until GPU memory has run out for good."""
    poller = zmq.Poller()
    poller.register(work, zmq.POLLIN)
    poller.register(stop, zmq.POLLIN)
    while True:
        ready = dict(poller.poll())
        if stop in ready:
            return
        job = codec.decode_job(work.recv())
        answer = worker.do(job)
        results.send(codec.encode(answer))
        worker.rest()
        if isinstance(answer, Failed) and answer.code == OutOfGpuMemory.code:
            stop.recv()  # this process has had its chance: what it holds comes back with its end, which is ordered now
            return


class Worker:
    """Does one job at a time."""

    def __init__(
        self,
        stage: StageName,
        replica: int,
        engine: Engine,
        arena: Source,
        control: Reports,
        faults: Faults,
        release_after_job: bool,
    ) -> None:
        self._stage = stage  # whose jobs it does
        self._replica = replica  # which of the stage's replicas it is
        self._engine = engine  # what does them
        self._arena = arena  # where their audio is
        self._read = reader_for(stage, arena)  # reads it as this stage hears it
        self._control = control  # what is reported, and which jobs are cancelled
        self._faults = faults  # what goes wrong on purpose
        self._release_after_job = release_after_job  # whether cached GPU memory is given back
        self._job_id = NO_JOB  # the job under way
        if isinstance(engine, StoppableEngine):
            engine.stop_when(lambda: control.was_cancelled(self._job_id))
        if isinstance(engine, SteppingEngine):
            engine.tell_progress(lambda: arena.progressed(stage, replica))

    def do(self, job: Job) -> Done | Failed:
        """An engine's exception is an answer too. Raises what says that this process can't use its GPU any more: the
        front replaces a process that ends, and has the job done again."""
        if self._control.was_cancelled(job.job_id):
            return Failed(job.job_id, JobCancelled.code, "no longer wanted", 0.0)
        self._job_id = job.job_id
        self._arena.mark(self._stage, self._replica, job.job_id)
        self._control.report(Started(job.job_id, job.limit_s))
        began = clock.monotonic()
        try:
            with stacks_after(job.limit_s):
                result = self._faults.spoil(job, self._result(job))
            return Done(job.job_id, result, elapsed_ms(began))
        except WernickeError as error:
            return Failed(job.job_id, error.code, str(error), elapsed_ms(began))
        except Exception as error:
            _log.exception("job_raised", job=job.job_id)
            if is_device_error(error):
                raise
            return Failed(job.job_id, WernickeError.code, f"{type(error).__name__}: {error}", elapsed_ms(began))

    def _result(self, job: Job) -> Result:
        """Tried a second time, with less at once, where GPU memory did not suffice. Raises OutOfGpuMemory."""
        try:
            return self._attempt(job, self._engine.process)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Outside the except block: the exception's traceback held on to everything the failed attempt had allocated.
        _log.warning("out_of_gpu_memory", job=job.job_id, again=True)
        self._release()
        smaller = self._engine.process_smaller if isinstance(self._engine, GpuEngine) else self._engine.process
        try:
            return self._attempt(job, smaller)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            _log.warning("out_of_gpu_memory", job=job.job_id, again=False)
            raise OutOfGpuMemory("The graphics card's memory did not suffice for this job.") from None

    def _attempt(self, job: Job, process: Callable[[Work, ReadAudio], Result]) -> Result:
        self._faults.strike(job)
        return process(job.work, self._read)

    def rest(self) -> None:
        """The answer is on its way."""
        self._arena.mark(self._stage, self._replica, NO_JOB)
        if self._release_after_job:
            self._release()
        self._control.gpu = gpu_memory(self._engine)

    def _release(self) -> None:
        if isinstance(self._engine, GpuEngine):
            self._engine.release()


def reader_for(stage: StageName, arena: Source) -> ReadAudio:
    """How that stage reads audio: utterances are brought up, as a whole; ingest follows the level of the stream by
    itself."""
    if stage == "ingest":
        return arena.read

    def read(handle: AudioHandle) -> Audio:
        return brought_up(arena.read(handle))

    return read


def gpu_memory(engine: Engine) -> GpuMemory | None:
    return engine.gpu_memory() if isinstance(engine, GpuEngine) else None


def elapsed_ms(began: float) -> float:
    return (clock.monotonic() - began) * 1000
