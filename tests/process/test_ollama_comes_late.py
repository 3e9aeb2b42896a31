"""An Ollama server that comes up after the daemon, where `auto` may choose: real stage processes, a local server."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ipc.messages import StageName
from tests import wire
from tests.ollama_server import MODEL, OllamaServer, Place
from tests.process.conftest import embedded, started
from tests.waiting import eventually
from wernicke_daemon.config.schema import Config
from wernicke_daemon.daemon import Daemon
from wernicke_daemon.hardware import watch

SPEECH = wire.turn(5).astype("<f4").tobytes()


def choosing(directory: Path, url: str, standby: tuple[StageName, ...] = ()) -> Config:
    config = embedded(directory, runtime={"standby": standby})
    return replace(
        config,
        correction=replace(config.correction, engine="auto", deadline_s=60.0),
        llm=replace(config.llm, host=url, model=MODEL),
    )


async def corrected_by(daemon: Daemon, engine: str) -> None:
    """Wait until /health says so."""
    await eventually(lambda: daemon.status.health().stages["correction"].engine == engine)


async def said(daemon: Daemon) -> dict[str, Any]:
    """The final of a little speech."""
    [final] = wire.finals(await wire.transcribe(daemon.port, SPEECH))
    return final


@pytest.mark.parametrize("standby", [(), ("correction",)])
async def test_corrections_begin_when_ollama_comes_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, standby: tuple[StageName, ...]
) -> None:
    """Without a restart of the daemon, and without a moment in which the stage is down; what is told is so, before and
    after. Gone again it is a warning, and it is taken up again."""
    monkeypatch.setattr(watch, "OLLAMA_EVERY_S", 0.05)
    place = Place()
    async with started(choosing(tmp_path, place.url, standby)) as daemon:
        assert daemon.status.engines()[0]["correction"].startswith(f"none (no Ollama server answers at {place.url}")
        before = await said(daemon)
        assert before["models_used"]["llm"] in (None, "none")
        with OllamaServer(place=place) as server:
            await corrected_by(daemon, "ollama")
            assert daemon.status.engines() == (
                {**daemon.status.engines()[0], "correction": "ollama (the best there is)"},
                [],
            )
            after = await said(daemon)
            assert (after["models_used"]["llm"], after["warnings"]) == (MODEL, [])
            assert after["text"] == before["text"] + "."
            assert server.loads == 1
        assert "LLM_UNAVAILABLE" in (await said(daemon))["warnings"]
        await eventually(lambda: "Ollama does not answer" in str(daemon.status.health().problems))


async def test_a_model_that_can_not_be_loaded_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason that is given is the newest, and nobody waits meanwhile."""
    monkeypatch.setattr(watch, "OLLAMA_EVERY_S", 0.05)
    place = Place()
    async with started(choosing(tmp_path, place.url)) as daemon:
        with OllamaServer(place=place) as server:
            server.mode = "503"
            await eventually(lambda: "could not run the model" in daemon.status.engines()[0]["correction"])
            assert (await said(daemon))["warnings"] == []
            server.mode = "good"
            monkeypatch.setattr(watch, "TRY_AGAIN_S", 0.0)
            await corrected_by(daemon, "ollama")
