"""Stages as actors of a Ray cluster: what clients get is what they get of stages here, whatever dies."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos_check import Found, check, substance
from benchmarks.chaos_speech import Heard, one_round, speak, speech
from ipc.audio_handle import SAMPLE_RATE
from tests.ray.house import at_work, configured, on, simulated
from tests.ray.nodes import Nodes
from tests.waiting import eventually
from wernicke_daemon.config.schema import Config, RaySettings
from wernicke_daemon.daemon import Daemon, running
from wernicke_daemon.demo import CLIP
from wernicke_daemon.formats import audio_files
from wernicke_daemon.gateway.http_request import SESSIONS

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


async def clip(config: Config) -> Heard:
    """The bundled clip as one frame, by the embedded engines."""
    async with running(config, lambda line: None) as daemon:
        samples = audio_files.samples(CLIP, SAMPLE_RATE).astype("<f4").tobytes()
        return await speak(f"ws://127.0.0.1:{daemon.port}{SESSIONS}", [samples])


async def test_the_clip_gives_the_same_as_on_this_machine(nodes: Nodes, tmp_path: Path) -> None:
    here = await clip(configured(tmp_path / "here", RaySettings()))
    there = await clip(configured(tmp_path / "there", on(nodes)))
    check([here])
    assert [substance(one) for [one] in there.results.values()] == [substance(one) for [one] in here.results.values()]


async def disturbed(daemon: Daemon, undisturbed: list[Heard], said: Any, disturb: Callable[[], None]) -> Found:
    """A round in which that is done as soon as a recogniser is at work, beside one in which nothing was."""
    with at_work(daemon, "asr") as begun:
        round_ = asyncio.create_task(one_round(daemon, said))
        await begun.wait()
        await asyncio.to_thread(disturb)
        found = Found()
        for heard, wanted in zip(await round_, undisturbed, strict=True):
            found.compare(heard, wanted, but=set())
    return found


async def test_whatever_dies_nothing_is_lost_doubled_or_changed(nodes: Nodes, tmp_path: Path) -> None:
    """Beside what stages on this machine make of the same speech. Each death is seen, and made good."""
    said = speech(2, seed=1)
    async with simulated(configured(tmp_path / "here", RaySettings())) as daemon:
        undisturbed = await one_round(daemon, said)
    check(undisturbed)

    async with simulated(configured(tmp_path / "there", on(nodes))) as daemon:
        ports = daemon.pipeline.ports

        def deaths() -> int:
            return sum(ports[stage].status().deaths for stage in ("asr", "diarization"))

        def kill_bridge() -> None:
            [bridge] = [peers for peers in daemon.pipeline.supervisor._peers if hasattr(peers, "_child")]
            bridge._child.kill()  # type: ignore[union-attr]

        kills: list[Callable[[], None]] = [
            lambda: nodes.kill_actor("asr"),
            lambda: nodes.kill_actor("diarization"),
            lambda: nodes.actors()[0].kill(),
            kill_bridge,
            nodes.kill_a_node,
            nodes.kill_the_heads_node,
        ]
        for kill in kills:
            before = deaths()
            found = await disturbed(daemon, undisturbed, said, kill)
            assert found.utterances
            assert (found.lost, found.duplicated, found.changed) == (0, 0, 0)
            assert (found.gaps, found.dropped_connections) == (0, 0)
            assert deaths() > before
            await eventually(lambda: all(r.ready for s in ("asr", "diarization") for r in ports[s].status().replicas))
