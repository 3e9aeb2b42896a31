"""How the daemon starts and what it tells where there is a graphics card; the card itself is pretended."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from ipc import gpu
from tests.process.conftest import embedded
from wernicke_daemon.daemon import running
from wernicke_daemon.hardware.profiles import ProfileChoice
from wernicke_daemon.processes.start_order import LARGEST_FIRST

CARD = {"name": "a card", "driver": "1", "total_mib": 24_576, "free_mib": 24_000, "utilisation_percent": 5}


async def test_models_are_loaded_one_by_one_and_what_they_took_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest first, a line each, then the budget; the card's figures are on /health and /stats."""
    free = [24_000]

    def free_mib(card: int) -> int:
        free.append(free[-1] - 100)
        return free[-2]

    monkeypatch.setattr(gpu, "cards", lambda: [{**CARD, "free_mib": free[-1]}])
    monkeypatch.setattr(gpu, "free_mib", free_mib)
    lines: list[str] = []
    choice = ProfileChoice("embedded", "for a test")
    config = embedded(tmp_path)
    async with running(config, lines.append, choice=choice) as daemon, httpx.AsyncClient() as http:
        stats = (await http.get(f"http://127.0.0.1:{daemon.port}/stats")).json()
        health = (await http.get(f"http://127.0.0.1:{daemon.port}/health")).json()
    loaded = [line for line in lines if "MiB of the card" in line]
    assert [line.split(":")[0] for line in loaded] == list(LARGEST_FIRST)
    assert all(line.endswith(" s, 100 MiB of the card") for line in loaded)
    assert "free of 24576 MiB" in lines[-1]
    logged = map(json.loads, config.log_path.read_text("utf-8").splitlines())
    order = [(each["event"], each["stage"]) for each in logged if each["event"] in ("stage_ready", "loaded")]
    assert order == [(event, stage) for stage in LARGEST_FIRST for event in ("stage_ready", "loaded")]
    assert health["gpu_available"] and health["vram_free"] == free[-1]
    held: dict[str, Any] = {"allocated_mib": 0, "reserved_mib": 0, "ollama_mib": None, "more_cards": []}
    assert stats["gpu_stats"] == {**CARD, "free_mib": free[-1], **held}
    assert stats["stages"]["asr"]["gpu_mib"] is None
