"""Where the replicas of each stage run on this machine, as config.toml has it."""

from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from ipc.arena import Arena
from ipc.messages import StageName
from ipc.settings import Device, StageSettings
from wernicke_daemon.config.schema import Config, RuntimeSettings
from wernicke_daemon.processes import threads
from wernicke_daemon.processes.liveness import Limits
from wernicke_daemon.processes.local_peer import LocalPeers
from wernicke_daemon.processes.place import Place
from wernicke_daemon.processes.stage_setup import StageSetup


def local_places(
    config: Config, settings: StageSettings, arena: Arena, names: Sequence[StageName]
) -> dict[StageName, list[Place]]:
    """settings: of all stages, with the devices of their own sections. arena: what the replicas read. names: the stages
    to run, here or elsewhere."""
    peers, limits = LocalPeers(), limits_of(config.runtime)
    devices = {name: those for name in names if (those := config.devices(name))}
    shares = threads.shares(settings, threads.cores(), {name: len(those) for name, those in devices.items()})

    def place(stage: StageName, number: int, device: Device | None) -> Place:
        own = on_device(settings, stage, device)
        setup = StageSetup(
            arena.geometry, own, limits, config.runtime.heartbeat_s, shares[stage], _shown_device(own, stage)
        )
        return Place(setup, peers, partial(arena.take_mark, stage, number), partial(arena.progress, stage, number))

    return {name: [place(name, *each) for each in enumerate(those)] for name, those in devices.items()}


def limits_of(runtime: RuntimeSettings) -> Limits:
    return Limits(runtime.hello_timeout_s, runtime.load_timeout_s, runtime.heartbeat_timeout_s)


def on_device(settings: StageSettings, stage: StageName, device: Device | None) -> StageSettings:
    """device: of this replica's models; None leaves all as it is. Words are timed on no card where it has none."""
    if device is None:
        return settings
    if stage == "diarization":
        return replace(settings, diarization=replace(settings.diarization, device=device))
    aligned = replace(settings.alignment, device="cpu") if device == "cpu" else settings.alignment
    return replace(settings, asr=replace(settings.asr, device=device), alignment=aligned)


def _shown_device(settings: StageSettings, stage: StageName) -> str:
    return {"asr": settings.asr.device, "diarization": settings.diarization.device}.get(stage, "")
