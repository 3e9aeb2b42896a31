"""How the stages are started where they share a graphics card: one after another. What is told of any start."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import structlog

from ipc import clock
from ipc.messages import StageName
from wernicke_daemon.dispatch.stage_port import ReplicaStatus, StagePort
from wernicke_daemon.hardware.budget import Need
from wernicke_daemon.processes.supervisor import Supervisor

LARGEST_FIRST: tuple[StageName, ...] = ("correction", "asr", "diarization", "ingest")
"""The language model takes more than all others: a server that finds too little free memory for it would put a part of
it on the CPU for good, while Whisper can be had in smaller types."""

PROGRESS_EVERY_S = 0.5

FreeMib = Callable[[], int | None]

_log = structlog.get_logger()


class Loaded(NamedTuple):
    """seconds: from the start of the process to READY. device_mib: by how much the card's free memory fell meanwhile.
    own_mib: what the process itself holds; None where neither the driver nor PyTorch says."""

    stage: StageName
    model: str
    seconds: float
    device_mib: int | None
    own_mib: int | None


@asynccontextmanager
async def telling(ports: Mapping[StageName, StagePort], progress: Callable[[str], None]) -> AsyncIterator[None]:
    """What the stages are doing, whenever it changes until the block ends, and once more then."""
    told: dict[StageName, str] = {}
    task = asyncio.create_task(_tell(ports, progress, told))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        _tell_changes(ports, progress, told)


async def _tell(
    ports: Mapping[StageName, StagePort], progress: Callable[[str], None], told: dict[StageName, str]
) -> None:
    while True:
        _tell_changes(ports, progress, told)
        await asyncio.sleep(PROGRESS_EVERY_S)


def _tell_changes(
    ports: Mapping[StageName, StagePort], progress: Callable[[str], None], told: dict[StageName, str]
) -> None:
    """told: what was said last of each."""
    for name, port in ports.items():
        doing = port.status().doing
        if told.get(name) != doing:
            told[name] = doing
            progress(f"{name}: {doing}")


async def load_in_order(supervisor: Supervisor, free_mib: FreeMib, progress: Callable[[str], None]) -> list[Loaded]:
    """Every replica of every stage, the largest first. Raises StartFailed."""
    loaded = []
    for name in LARGEST_FIRST:
        for replica in supervisor.replicas(name):
            before, began = await asyncio.to_thread(free_mib), clock.monotonic()
            await supervisor.start_one(replica)
            after = await asyncio.to_thread(free_mib)
            one = _loaded(name, replica.status(), clock.monotonic() - began, before, after)
            _log.info("loaded", replica=replica.replica, **one._asdict())
            progress(line(one))
            loaded.append(one)
    return loaded


def _loaded(name: StageName, status: ReplicaStatus, seconds: float, before: int | None, after: int | None) -> Loaded:
    device_mib = None if before is None or after is None else before - after
    return Loaded(name, status.model or "-", round(seconds, 1), device_mib, status.gpu_mib)


def line(loaded: Loaded) -> str:
    took = "" if loaded.device_mib is None else f", {loaded.device_mib} MiB of the card"
    own = "" if loaded.own_mib is None else f" ({loaded.own_mib} MiB its own)"
    return f"{loaded.stage}: {loaded.model} in {loaded.seconds:.1f} s{took}{own}"


def table(needs: Sequence[Need], loaded: Sequence[Loaded], card: dict[str, Any] | None) -> list[str]:
    """The budget as lines of text: planned beside measured. card: of `gpu.figures`, after everything was loaded;
    None where it does not answer any more."""
    rows = [("", "planned MiB", "taken MiB")]
    for stage in LARGEST_FIRST:
        planned = [need for need in needs if need.stage == stage]
        taken = [one.device_mib for one in loaded if one.stage == stage and one.device_mib is not None]
        if planned:
            shown = _number(sum(taken) if taken else None)
            rows.append((f"{stage}: {', '.join(need.what for need in planned)}", _sum(planned), shown))
    if card is not None:
        rows.append((f"{card['name']}: free of {card['total_mib']} MiB", "", str(card["free_mib"])))
    width = max(len(name) for name, _, _ in rows)
    return [f"{name:<{width}}  {planned:>11}  {taken:>9}" for name, planned, taken in rows]


def _sum(needs: Sequence[Need]) -> str:
    known = [need.mib for need in needs if need.mib is not None]
    return str(sum(known)) if len(known) == len(needs) else "not known"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)
