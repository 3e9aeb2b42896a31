"""Deepgram's and OpenAI's own clients for JavaScript, in Node.js, with nothing but another address."""

import asyncio
import json
import shutil
import wave
from pathlib import Path
from typing import Any

import pytest

from tests import wire
from tests.clients.conftest import KEY, Served
from tests.process.conftest import stored
from tests.talk import TALK, is_right
from wernicke_daemon.evaluation.scoring import Spoken

HERE = Path(__file__).parent / "javascript"

if shutil.which("node") is None:
    pytest.skip("needs Node.js", allow_module_level=True)
if not (HERE / "node_modules").exists():
    pytest.skip("needs its packages: npm install --prefix tests/clients/javascript", allow_module_level=True)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ran(script: str, *arguments: str) -> list[Any]:
    """The JSON that it says."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("node", str(HERE / script), *arguments, stdout=pipe)
    async with asyncio.timeout(120):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return [json.loads(line) for line in out.splitlines()]


async def deepgram(served: Served, pcm: Path, key: str = KEY, **options: Any) -> list[Any]:
    return await ran("deepgram.mjs", served.host, key, json.dumps(options), str(pcm))


@pytest.fixture(scope="module")
def pcm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("audio") / "talk.pcm"
    file.write_bytes(wire.as_int16(TALK))
    return file


async def test_a_talk_comes_back_with_words_and_speakers(served: Served, pcm: Path) -> None:
    """Line by line as it is kept, with all that was asked for; the end is theirs."""
    asked = {"diarize": "true", "interim_results": "true", "vad_events": "true", "utterance_end_ms": 1000}
    messages = await deepgram(served, pcm, **asked, queryParams={"invented": "1"})
    results = [each for each in messages if each["type"] == "Results" and each["is_final"]]
    lines = [result["channel"]["alternatives"][0] for result in results]
    said = [line for line in lines if line["transcript"]]
    kept = stored(served.daemon, messages[-1]["request_id"])
    assert [line["transcript"] for line in said] == [part["text"] for final in kept for part in final["segments"]]
    assert is_right([Spoken(str(line["words"][0]["speaker"]), line["transcript"]) for line in said])
    kinds = [message["type"] for message in messages]
    assert kinds.count("SpeechStarted") == len(kept) and "UtteranceEnd" in kinds and kinds[-1] == "Metadata"
    assert results[-1]["from_finalize"]


async def test_a_wrong_key_and_what_can_not_be_had_end_in_their_error(served: Served, pcm: Path) -> None:
    """Its WebSocket shows no more of an HTTP answer than that there was one."""
    for wrong in ({"key": "c" * 64}, {"multichannel": "true", "channels": 2}):
        assert [message["type"] for message in await deepgram(served, pcm, **wrong)][:1] == ["JavaScriptError"]


async def test_a_file_of_openais_client(served: Served, tmp_path: Path) -> None:
    """One text, whole, by speakers and as it comes; errors with our sentence."""
    with wave.open(str(tmp_path / "talk.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(wire.as_int16(TALK))
    [made] = await ran("openai.mjs", served.host, KEY, str(tmp_path / "talk.wav"))
    assert "whisper-1" in made["models"] and made["plain"]["text"]
    assert is_right([Spoken(part["speaker"], part["text"]) for part in made["diarized"]["segments"]])
    deltas = [event["delta"] for event in made["events"] if event["type"] == "transcript.text.delta"]
    assert "".join(deltas) == made["plain"]["text"] == made["events"][-1]["text"]
    assert made["refused"]["status"] == 400 and "response_format must be one of" in made["refused"]["message"]
    [wrong] = await ran("openai.mjs", served.host, "c" * 64, str(tmp_path / "talk.wav"))
    assert wrong["error"]["status"] == 401 and "token" in wrong["error"]["message"]
