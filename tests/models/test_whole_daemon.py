"""Every engine's real code in its real process, with tiny models: Japanese, over a WebSocket, to the final."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import pytest_asyncio
from msgspec.structs import replace
from numpy.typing import NDArray

from tests import wire
from tests.models.tiny_pyannote import build_tiny_pyannote
from tests.models.tiny_wav2vec2 import build_tiny_wav2vec2, speech
from tests.ollama_server import OllamaServer
from tests.process.conftest import started
from tests.tiny_whisper import build_tiny_whisper
from wernicke_daemon.config.load import overrides
from wernicke_daemon.config.schema import Config
from wernicke_daemon.daemon import Daemon
from wernicke_daemon.formats import audio_files

pytestmark = [pytest.mark.models, pytest.mark.asyncio(loop_scope="module")]

SAID = ("きょうはきかいがくしゅう", "についてはなします")
"""By the first voice and by the second."""
HEARD = "".join(SAID)
MEANT = ("今日は機械学習", "について話します。")
UNUSED = [chr(ord("一") + number) for number in range(100)]
"""Characters with the tones below 5 kHz, where speech is loud."""
CHARACTERS = [*UNUSED, *sorted(set(HEARD))]
CHARACTER_S = 0.12
VOICES = Path(__file__).parents[1] / "data" / "two_male_voices.flac"
TURNS = json.loads(VOICES.with_suffix(".json").read_text(encoding="utf-8"))["turns"]


def recording() -> NDArray[np.float32]:
    """16 kHz mono: two voices in turns."""
    return audio_files.samples(VOICES, 16_000)


def two_voices() -> NDArray[np.float32]:
    """A turn of each, with the tones of its text."""
    audio = recording()[: round((TURNS[1]["end"] + 0.5) * 16_000)]
    for text, turn in zip(SAID, TURNS, strict=False):
        tones = speech(text, CHARACTERS, CHARACTER_S)
        start = round((turn["start"] + 0.1) * 16_000)
        audio[start : start + len(tones)] += tones
    return audio


def full(directory: Path, ollama: str) -> Config:
    """The settings of full quality, with models that were built here."""
    config = overrides(Config(), host="127.0.0.1", port=0)
    return replace(
        config,
        asr=replace(
            config.asr,
            engine="faster_whisper",
            model=str(build_tiny_whisper(directory / "whisper", HEARD)),
            punctuation=False,
        ),
        alignment=replace(
            config.alignment,
            engine="whisperx",
            model=str(build_tiny_wav2vec2(directory / "wav2vec2", CHARACTERS, silent=len(UNUSED))),
        ),
        diarization=replace(
            config.diarization,
            engine="pyannote",
            model=str(build_tiny_pyannote(directory / "pyannote", two_voices())),
            deadline_s=60.0,
        ),
        correction=replace(config.correction, engine="ollama", deadline_s=60.0),
        llm=replace(config.llm, host=ollama),
        logging=replace(config.logging, console=False),
        runtime=replace(config.runtime, data_dir=str(directory / "data")),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(tmp_path_factory: Any) -> AsyncIterator[Daemon]:
    directory = tmp_path_factory.mktemp("full")
    with OllamaServer(corrections=dict(zip(SAID, MEANT, strict=True))) as server:
        async with started(full(directory, server.url)) as daemon:
            yield daemon


async def said(daemon: Daemon) -> list[dict[str, Any]]:
    return await wire.transcribe(daemon.port, two_voices().astype("<f4").tobytes(), f"{wire.MONO}&events=session")


async def test_japanese_speech_of_two_comes_back_with_words_speakers_and_corrections(daemon: Daemon) -> None:
    """Recognised by Whisper, timed by wav2vec2, told apart by pyannote, corrected by the language model's server."""
    messages = await said(daemon)
    [hello] = [message for message in messages if message["type"] == "connection_established"]
    assert {stage: engine.split()[0] for stage, engine in hello["engines"].items() if stage != "ingest"} == {
        "asr": "faster_whisper",
        "diarization": "pyannote",
        "correction": "ollama",
    }
    [final] = wire.finals(messages)
    assert final["language"] == "ja" and final["warnings"] == []
    assert final["models_used"] == {
        "whisper": "whisper",
        "alignment": "wav2vec2",
        "diarization": "pyannote",
        "llm": "qwen2.5:14b-instruct-q4_0",
    }
    words = [word for segment in final["segments"] for word in segment["words"]]
    assert "".join(word["word"] for word in words) == HEARD
    assert 3 < len(words) < len(HEARD), "words, not characters"
    times = [time for word in words for time in (word["start"], word["end"])]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= final["duration"]
    assert [(s["speaker"], s["original_text"], s["text"]) for s in final["segments"]] == [
        ("Speaker_00", SAID[0], MEANT[0]),
        ("Speaker_01", SAID[1], MEANT[1]),
    ]
    assert final["text"] == "\n".join(MEANT)
    for segment in final["segments"]:
        assert {word["speaker"] for word in segment["words"]} == {segment["speaker"]}


async def test_stages_that_are_killed_come_back_with_their_models(daemon: Daemon) -> None:
    """All at once, with an utterance on its way: the result is the same but for what it took."""
    [before] = wire.finals(await said(daemon))
    ports = daemon.pipeline.ports
    for name in ("asr", "diarization", "correction"):
        psutil.Process(ports[name].status().pid).kill()
    [after] = wire.finals(await said(daemon))
    same = ("text", "segments", "language", "models_used", "warnings")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert [ports[name].status().deaths for name in ("asr", "diarization", "correction")] == [1, 1, 1]
