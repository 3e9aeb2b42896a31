"""The PC stays awake while somebody is connected."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.waiting import eventually
from wernicke_daemon.hardware import keep_awake
from wernicke_daemon.hardware.keep_awake import KeepAwake


@pytest.mark.parametrize("system", [True, False])
async def test_awake_while_somebody_is_connected(monkeypatch: pytest.MonkeyPatch, system: bool) -> None:
    """Asked once when the first comes and let go once when the last has left, whether the system can do it or not."""
    monkeypatch.setenv("WAKEPY_FAKE_SUCCESS" if system else "WAKEPY_FORCE_FAILURE", "yes")
    monkeypatch.setattr(keep_awake, "CHECK_EVERY_S", 0.005)
    clients = [0]
    with capture_logs() as logs:
        task = asyncio.create_task(KeepAwake().run(lambda: clients[-1]))
        for connected, lines in ((2, 1), (1, 1), (0, 2), (1, 3)):
            clients.append(connected)
            await eventually(lambda lines=lines: len(logs) >= lines)  # type: ignore[misc]
        task.cancel()
        await asyncio.wait([task])
        await eventually(lambda: len(logs) >= 4)
    told: list[Any] = [(line["on"], line["works"]) for line in logs if line["event"] == "keep_awake"]
    assert told == [(True, system), (False, True)] * 2
