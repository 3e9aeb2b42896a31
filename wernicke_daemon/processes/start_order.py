"""How the stages are started where they share a graphics card: one after another. What is told of any start."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import structlog

from ipc import clock, gpu
from ipc.messages import StageName
from wernicke_daemon.dispatch.stage_port import StagePort
from wernicke_daemon.hardware.budget import Need
from wernicke_daemon.processes.supervised_stage import SupervisedStage
from wernicke_daemon.processes.supervisor import Supervisor

LARGEST_FIRST: tuple[StageName, ...] = ("correction", "asr", "diarization", "ingest")
"""The language model takes more than all others: a server that finds too little free memory for it would put a part of
it on the CPU for good, while Whisper can be had in smaller types."""

PROGRESS_EVERY_S = 0.5

FreeMib = Callable[[int], int | None]
"""Of the card of that number."""

_log = structlog.get_logger()


class Loaded(NamedTuple):
    """seconds: from the start of the process to READY. device_mib: by how much its card's free memory fell meanwhile.
    own_mib: what the process itself holds; None where neither the driver nor PyTorch says. card: which one."""

    stage: StageName
    model: str
    seconds: float
    device_mib: int | None
    own_mib: int | None
    replica: int = 0
    card: int = 0


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
            one = await _load_one(supervisor, replica, free_mib)
            _log.info("loaded", **one._asdict())
            progress(line(one))
            loaded.append(one)
    return loaded


async def _load_one(supervisor: Supervisor, replica: SupervisedStage, free_mib: FreeMib) -> Loaded:
    """Raises StartFailed."""
    card = gpu.number(replica.status().device) or 0
    before, began = await asyncio.to_thread(free_mib, card), clock.monotonic()
    await supervisor.start_one(replica)
    after, status = await asyncio.to_thread(free_mib, card), replica.status()
    seconds = round(clock.monotonic() - began, 1)
    device_mib = None if before is None or after is None else before - after
    return Loaded(replica.stage, status.model or "-", seconds, device_mib, status.gpu_mib, replica.replica, card)


def line(loaded: Loaded) -> str:
    took = "" if loaded.device_mib is None else f", {loaded.device_mib} MiB of the card"
    own = "" if loaded.own_mib is None else f" ({loaded.own_mib} MiB its own)"
    which = f" {loaded.replica}" if loaded.replica else ""
    return f"{loaded.stage}{which}: {loaded.model} in {loaded.seconds:.1f} s{took}{own}"


def table(needs: Sequence[Need], loaded: Sequence[Loaded], cards: Sequence[dict[str, Any]]) -> list[str]:
    """The budget as lines of text: planned beside measured. cards: of `gpu.cards`, after everything was loaded; empty
    where none answers any more. Of those only what is used is told, and the first."""
    rows = [("", "planned MiB", "taken MiB")]
    used = sorted({need.card for need in needs} | {0})
    for number in used:
        rows.extend(_planned(needs, loaded, number))
        if number < len(cards):
            card = cards[number]
            rows.append((f"{card['name']}: free of {card['total_mib']} MiB", "", str(card["free_mib"])))
    width = max(len(name) for name, _, _ in rows)
    return [f"{name:<{width}}  {planned:>11}  {taken:>9}" for name, planned, taken in rows]


def _planned(needs: Sequence[Need], loaded: Sequence[Loaded], card: int) -> Iterator[tuple[str, str, str]]:
    for stage in LARGEST_FIRST:
        planned = [need for need in needs if (need.stage, need.card) == (stage, card)]
        taken = [one.device_mib for one in loaded if (one.stage, one.card) == (stage, card)]
        known = [mib for mib in taken if mib is not None]
        if planned:
            names = Counter(need.what for need in planned)
            what = ", ".join(f"{count} × {name}" if count > 1 else name for name, count in names.items())
            yield f"{stage}: {what}", _sum(planned), _number(sum(known) if known else None)


def _sum(needs: Sequence[Need]) -> str:
    known = [need.mib for need in needs if need.mib is not None]
    return str(sum(known)) if len(known) == len(needs) else "not known"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)
