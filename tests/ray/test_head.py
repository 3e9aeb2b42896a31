"""The head of the cluster goes away and comes back: sessions are told, what is said waits, and all of it comes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests import wire
from tests.process.conftest import free_port
from tests.ray.house import configured, on, simulated
from tests.ray.nodes import Nodes
from tests.waiting import eventually
from wernicke_daemon.client import Client, ParsedMessage, exchange
from wernicke_daemon.gateway.http_request import SESSIONS

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


async def test_what_is_said_while_the_head_is_away_is_recognised_when_it_is_back(tmp_path: Path) -> None:
    first, second, third = (wire.turn(number).astype("<f4").tobytes() for number in range(3))
    heard: list[ParsedMessage] = []

    def told(kind: str, **of: str) -> list[ParsedMessage]:
        return [one for one in heard if one["type"] == kind and of.items() <= one.items()]

    with Nodes(2, free_port()) as nodes:
        async with simulated(configured(tmp_path, on(nodes, asr=1, diarization=0))) as daemon:
            port = daemon.pipeline.ports["asr"]

            async def said(client: Client) -> AsyncIterator[bytes]:
                yield first
                await client.flush()
                await eventually(lambda: told("final"))
                await asyncio.to_thread(nodes.vanish)
                await eventually(lambda: told("degraded", stage="asr"))
                yield second
                await client.flush()
                await eventually(lambda: daemon.pipeline.dispatcher.depth("asr"))
                await asyncio.to_thread(nodes.start)
                await eventually(lambda: told("restored", stage="asr"))
                yield third
                await client.flush()

            async with Client(f"ws://127.0.0.1:{daemon.port}{SESSIONS}", events=("status",)) as client:
                await exchange(client, said(client), heard.append)
            why = port.status().why_down or ""
    assert [final["sequence"] for final in told("final")] == [1, 2, 3]
    assert not told("error")
    assert "Ray" in why
