"""Where the replicas of the stages run that config.toml gives to Ray."""

from collections.abc import Sequence
from functools import partial

from ipc.arena import Arena
from ipc.messages import StageName
from ipc.settings import StageSettings
from wernicke_daemon.cluster.messages import Share
from wernicke_daemon.cluster.peers import RayPeers
from wernicke_daemon.config.schema import Config, RaySettings
from wernicke_daemon.processes.local_places import limits_of
from wernicke_daemon.processes.place import Place
from wernicke_daemon.processes.stage_setup import StageSetup


def ray_places(
    config: Config, settings: StageSettings, arena: Arena, names: Sequence[StageName]
) -> dict[StageName, list[Place]]:
    """settings: of all stages. arena: what the bridge reads for them. names: the stages to run, here or there."""
    there = [name for name in names if config.ray.actors(name)]
    if not there:
        return {}
    peers = RayPeers(config.ray.address, arena.geometry, partial(_share, config.ray))

    def place(stage: StageName, number: int) -> Place:
        threads = _cpus(stage, settings)
        setup = StageSetup(arena.geometry, settings, limits_of(config.runtime), config.runtime.heartbeat_s, threads)
        return Place(setup, peers, partial(arena.take_mark, stage, number), partial(arena.progress, stage, number))

    return {name: [place(name, number) for number in range(config.ray.actors(name))] for name in there}


def _share(ray: RaySettings, stage: StageName, setup: StageSetup) -> Share:
    """A model that is to stay off the card takes nothing of it."""
    section = {"asr": setup.settings.asr.device, "diarization": setup.settings.diarization.device}
    return Share(setup.threads, 0.0 if section.get(stage) == "cpu" else ray.cards(stage))


def _cpus(stage: StageName, settings: StageSettings) -> int:
    """What Ray is to keep free for it, and the threads of its libraries."""
    return settings.asr.cpu_threads or 1 if stage == "asr" else 1
