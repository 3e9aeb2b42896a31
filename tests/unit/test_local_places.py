"""Where replicas run on this machine, and with what."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from ipc.arena import Arena, ArenaReader
from ipc.settings import AlignmentSettings, AsrSettings, StageSettings
from stages.gpu import card
from wernicke_daemon.config.load import parse
from wernicke_daemon.config.schema import Config, ReplicasSettings, stage_settings
from wernicke_daemon.processes import local_places, threads
from wernicke_daemon.processes.local_places import on_device
from wernicke_daemon.processes.place import Place


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena(1, 16_000)
    yield made
    made.close()


def places(config: Config, arena: Arena) -> dict[str, list[Place]]:
    async def made() -> dict[str, list[Place]]:
        found = local_places.local_places(config, stage_settings(config), arena, ("ingest", "asr", "diarization"))
        found["asr"][0].peers.stop()
        return {**found}

    return asyncio.run(made())


def test_each_replica_has_its_device(arena: Arena) -> None:
    """A number of them that of their section; words are timed where the recogniser is, but on no card where it has
    none."""
    text = """
        [replicas]
        asr = ["cuda:1", "cpu"]
        diarization = 2
        [diarization]
        device = "cuda:0"
        [alignment]
        device = "cuda"
    """
    found = places(parse(text), arena)
    asr = [place.setup.settings for place in found["asr"]]
    assert [(one.asr.device, one.alignment.device) for one in asr] == [("cuda:1", "cuda"), ("cpu", "cpu")]
    assert [place.setup.device for place in found["asr"]] == ["cuda:1", "cpu"]
    assert [place.setup.settings.diarization.device for place in found["diarization"]] == ["cuda:0", "cuda:0"]
    assert [place.setup.device for place in found["ingest"]] == [""]
    assert len({id(place.peers) for those in found.values() for place in those}) == 1


def test_word_times_that_are_to_stay_off_the_card_do() -> None:
    settings = StageSettings(asr=AsrSettings(device="cuda"), alignment=AlignmentSettings(device="cpu"))
    assert on_device(settings, "asr", "cuda:1").alignment.device == "cpu"
    assert on_device(settings, "asr", None) is settings


def test_each_has_marks_of_its_own(arena: Arena) -> None:
    """What one was at when it died is not taken for what another is at."""
    found = places(replace(Config(), replicas=ReplicasSettings(asr=3)), arena)
    reader = ArenaReader(arena.geometry)
    reader.mark("asr", 1, 7)
    reader.progressed("asr", 2)
    assert [place.progress() for place in found["asr"]] == [0, 0, 1]
    assert [place.job_at_death() for place in found["asr"]] == [None, 7, None]
    assert found["asr"][1].job_at_death() is None, "asked once"
    reader.close()


@pytest.mark.parametrize("cores", [2, 8, 16])
@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_replicas_share_the_cores(cores: int, replicas: int) -> None:
    """All that work side by side have no more threads than there are cores, as far as each can have one."""
    found = threads.shares(StageSettings(), cores, {"asr": replicas, "diarization": replicas})
    assert min(found.values()) >= 1
    assert replicas * (found["asr"] + found["diarization"]) <= max(cores, 2 * replicas)


def test_what_is_configured_is_of_each() -> None:
    """`asr.cpu_threads` of every recogniser; the others have what is left."""
    found = threads.shares(StageSettings(asr=AsrSettings(cpu_threads=3)), 16, {"asr": 3, "diarization": 2})
    assert (found["asr"], found["diarization"]) == (3, 3)


def test_a_process_sees_its_card_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the number that nvidia-smi has, whatever was set for the daemon. Without a number nothing is changed."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    settings = StageSettings(asr=AsrSettings(device="cuda:1"))
    for stage in ("ingest", "diarization", "correction"):
        card.see_only(card.of(stage, settings))
    assert (os.environ["CUDA_VISIBLE_DEVICES"], "CUDA_DEVICE_ORDER" in os.environ) == ("3", False)
    card.see_only(card.of("asr", settings))
    assert (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["CUDA_DEVICE_ORDER"]) == ("1", "PCI_BUS_ID")
    monkeypatch.delenv("CUDA_DEVICE_ORDER")
