"""A node that does not get on with its work is given no more of it than it may have at a time."""

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from benchmarks.chaos_speech import speak
from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import Job
from tests.ray.house import configured, on, simulated
from tests.ray.nodes import Nodes
from tests.waiting import eventually
from wernicke_daemon.demo import CLIP
from wernicke_daemon.formats import audio_files
from wernicke_daemon.gateway.http_request import SESSIONS

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

CLIENTS = 5


async def test_a_slow_node_is_not_given_more_than_it_can_do(nodes: Nodes, tmp_path: Path) -> None:
    """One of two recognisers stands still: what others say is done by the other one meanwhile, and nothing is lost."""
    config = configured(tmp_path, on(nodes, asr=2, diarization=0))
    greeting = audio_files.samples(CLIP, SAMPLE_RATE)[: 5 * SAMPLE_RATE].astype("<f4").tobytes()
    async with simulated(config, asr_ms=100.0) as daemon:
        slow, _ = nodes.actors()
        given: Counter[int] = Counter()
        pool = daemon.pipeline.ports["asr"]
        send = pool.send

        def counted(job: Job, replica: int) -> None:
            given[replica] += 1
            send(job, replica)

        url = f"ws://127.0.0.1:{daemon.port}{SESSIONS}"
        slow.send_signal(signal.SIGSTOP)
        try:
            with patch.object(pool, "send", counted):
                clients = [asyncio.create_task(speak(url, [greeting])) for _ in range(CLIENTS)]
                most_behind = config.runtime.credit
                await eventually(lambda: sum(client.done() for client in clients) >= CLIENTS - most_behind)
                assert min(given.values()) <= most_behind
                assert sum(given.values()) == CLIENTS
        finally:
            slow.send_signal(signal.SIGCONT)
        heard: list[Any] = await asyncio.gather(*clients)
    assert all([[one["type"] for one in got] for got in each.results.values()] == [["final"]] for each in heard)
