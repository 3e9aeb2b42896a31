"""What is said where the cluster can't be had, or has no room."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.process.conftest import free_port
from tests.ray.house import configured, on, simulated
from tests.ray.nodes import Nodes
from wernicke_daemon.config.schema import RaySettings, RayStages
from wernicke_daemon.processes.pool import StartFailed

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


async def test_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    config = configured(tmp_path, RaySettings(address=address, stages=RayStages(asr=1)))
    with pytest.raises(StartFailed, match=f"{address}.*can't be reached"):
        async with simulated(config):
            pass


async def test_an_actor_that_fits_on_no_node(nodes: Nodes, tmp_path: Path) -> None:
    config = configured(tmp_path, on(nodes, asr=1, diarization=0))
    config = replace(config, asr=replace(config.asr, cpu_threads=64))
    with pytest.raises(StartFailed, match=r"No node .* has room for it: it needs 64 CPU .* 4 CPU, 0 GPU"):
        async with simulated(config):
            pass
