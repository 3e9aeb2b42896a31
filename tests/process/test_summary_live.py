"""`wernicke summary` beside a daemon at work: the daemon makes it, behind live speech."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests import wire
from tests.ollama_server import OllamaServer
from tests.process.conftest import embedded, pages_up
from tests.waiting import eventually
from wernicke_daemon import cli
from wernicke_daemon.config.schema import WebSettings
from wernicke_daemon.daemon import Daemon, running
from wernicke_daemon.stop_requests import StopRequests

SPEECH = wire.turn(0).astype("<f4").tobytes()
LISTENS = f"{wire.MONO}&language=en"


def first_line(asked: dict[str, Any]) -> dict[str, Any]:
    """Of what was recognised, as a decision."""
    text = asked["lines"][0].partition(": ")[2]
    return {"sentences": [{"kind": "decision", "text": text, "lines": [1], "who": "", "until": ""}]}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Daemon, OllamaServer, Path]]:
    """A daemon that corrects, with pages; its language model's server; its settings as a file."""
    with OllamaServer() as ollama:
        ollama.summarize = first_line
        config = embedded(tmp_path / "data", web=WebSettings(port=0))
        correction = replace(config.correction, engine="ollama", deadline_s=60.0)  # on a busy machine, too
        config = replace(config, correction=correction, llm=replace(config.llm, host=ollama.url))
        async with (
            running(config, lambda line: None, pages=True) as daemon,
            StopRequests(config.data_path, 1.0, lambda: None),
        ):
            await pages_up(daemon)
            file = tmp_path / "config.toml"
            folder = json.dumps(str(config.data_path))
            file.write_text(f"port = {daemon.port}\n[runtime]\ndata_dir = {folder}\n", encoding="utf-8")
            yield daemon, ollama, file


async def test_a_summary_gives_way_to_speech_and_is_made_after_it(
    served: tuple[Daemon, OllamaServer, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its request is closed as soon as somebody speaks, whose words are corrected; then it is asked anew."""
    daemon, ollama, settings = served
    [earlier] = wire.finals(await wire.transcribe(daemon.port, SPEECH, LISTENS))
    live = len(ollama.chats())
    ollama.next_modes = ["good", "hang"]  # the first one loads
    asking = asyncio.create_task(asyncio.to_thread(cli.main, ["summary", "last", "--config", str(settings)]))
    await eventually(lambda: len(ollama.chats()) > live)
    [final] = wire.finals(await wire.transcribe(daemon.port, SPEECH, LISTENS))
    assert final["warnings"] == earlier["warnings"] == [] and final["segments"][0]["corrected"]
    assert ollama.given_up == ["/api/chat"]
    assert await asking == 0
    shown = capsys.readouterr()
    assert f"- {earlier['segments'][0]['text']} [00:0" in shown.out and "Made by the language model" in shown.out
    assert "It waits until nobody speaks" in shown.err
    url = ["--url", f"ws://127.0.0.1:{daemon.port}/transcribe"]
    assert await asyncio.to_thread(cli.main, ["summary", earlier["session_id"], *url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["statements"][0]["text"] == earlier["segments"][0]["text"]
    assert await asyncio.to_thread(cli.main, ["summary", "../x", *url]) == 6
    assert await asyncio.to_thread(cli.main, ["summary", "zz", *url]) == 6
    assert "There is no session zz" in capsys.readouterr().err
