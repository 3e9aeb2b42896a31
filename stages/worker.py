"""The one loop that all stages share.

Life of a stage process, after `stages.runner` has read its boot record: tie itself to its parent → connect → HELLO →
wait for INIT → load and warm up an engine → READY → one job after another → STOP. Whatever it is doing, it may be
killed: it keeps nothing that the front does not have.
"""

import os
import sys
import time

import msgspec
import structlog
import zmq

from ipc import channels, codec
from ipc.arena import ArenaReader
from ipc.channels import Boot
from ipc.errors import EngineUnavailable, WernickeError
from ipc.messages import Done, Failed, Init, Job, Loading, Ready, StageName, Unusable
from stages import logs, parent_watch, registry
from stages.control import Control
from stages.stage import Engine

Socket = zmq.Socket[bytes]

_log = structlog.get_logger()


def run(record: bytes) -> None:
    """record: a Boot in msgpack. Does not return."""
    boot = msgspec.msgpack.decode(record, type=Boot)
    parent_watch.watch_parent(boot.parent_pid, boot.parent_fd)
    logs.configure(boot.stage, boot.epoch)
    context: zmq.Context[Socket] = zmq.Context()
    control = Control(context, boot, os.getpid())
    work = channels.connect(context, zmq.PULL, boot.work, boot)
    results = channels.connect(context, zmq.PUSH, boot.results, boot)
    init = control.wait_for_init()
    engine = start_engine(msgspec.convert(boot.stage, StageName), init, control)
    if engine is not None:
        arena = ArenaReader(init.arena)
        serve(engine, arena, control, work, results)
        engine.close()
    leave()


def leave() -> None:
    """Native libraries can crash while they unload (CTranslate2 on Windows does), so nothing is unloaded."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def start_engine(stage: StageName, init: Init, control: Control) -> Engine | None:
    """The first engine that can be loaded and warmed up; None (and UNUSABLE said) if there is none."""
    refused: list[str] = []
    for name in registry.wanted(stage, init.settings):
        began = time.monotonic()
        control.report(Loading(f"loading {name}"))
        try:
            engine = load(stage, name, init)
        except EngineUnavailable as error:
            refused.append(str(error))
            continue
        why = "; ".join(refused) or ("as configured" if name_is_fixed(stage, init) else "the best there is")
        control.report(Ready(name, engine.model, why, (time.monotonic() - began) * 1000))
        return engine
    control.report(Unusable("; ".join(refused)))
    wait_for_stop(control)
    return None


def name_is_fixed(stage: StageName, init: Init) -> bool:
    return len(registry.wanted(stage, init.settings)) == 1


def load(stage: StageName, name: str, init: Init) -> Engine:
    """Loaded and warmed up. Raises EngineUnavailable, whatever went wrong."""
    engine = registry.create(stage, name, init.settings)
    try:
        engine.load()
        engine.warm_up()
    except EngineUnavailable:
        engine.close()
        raise
    except Exception as error:
        engine.close()
        raise EngineUnavailable(f"{stage} engine {name!r} failed to start: {error}") from error
    return engine


def wait_for_stop(control: Control) -> None:
    control.stop_signal.recv()


def serve(engine: Engine, arena: ArenaReader, control: Control, work: Socket, results: Socket) -> None:
    """Jobs until STOP."""
    poller = zmq.Poller()
    poller.register(work, zmq.POLLIN)
    poller.register(control.stop_signal, zmq.POLLIN)
    while True:
        ready = dict(poller.poll())
        if control.stop_signal in ready:
            return
        job = codec.decode_job(work.recv())
        results.send(codec.encode(do(job, engine, arena, control)))


def do(job: Job, engine: Engine, arena: ArenaReader, control: Control) -> Done | Failed:
    """One job; an engine's exception is an answer too."""
    if control.was_cancelled(job.job_id):
        return Failed(job.job_id, "CANCELLED", "no longer wanted", 0.0)
    control.job_started(job.job_id)
    began = time.perf_counter()
    try:
        result = engine.process(job.work, arena.read)
        return Done(job.job_id, result, elapsed_ms(began))
    except WernickeError as error:
        return Failed(job.job_id, error.code, str(error), elapsed_ms(began))
    except Exception as error:
        _log.exception("job_raised", job=job.job_id)
        return Failed(job.job_id, WernickeError.code, f"{type(error).__name__}: {error}", elapsed_ms(began))
    finally:
        control.job_finished()


def elapsed_ms(began: float) -> float:
    return (time.perf_counter() - began) * 1000
