"""The original design's own path, with small parts: Whisper hears Japanese, an LLM mends the homophones."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests import wire
from tests.ollama_server import OllamaServer
from tests.process.conftest import embedded, started
from tests.tiny_whisper import build_tiny_whisper

HEARD = "きょうはきかいがくしゅうについてはなします"
MEANT = "今日は機械学習について話します。"


@pytest.mark.parametrize("language", ["ja", "auto"])
async def test_japanese_speech_comes_back_corrected(tmp_path: Path, language: str) -> None:
    """Real model loading and decoding, real HTTP: kana come out of the recogniser and kanji go to the client."""
    model = build_tiny_whisper(tmp_path / "tiny", HEARD)
    with OllamaServer(corrections={HEARD: MEANT}) as server:
        config = embedded(tmp_path)
        config = replace(
            config,
            runtime=replace(config.runtime, profile="auto"),
            asr=replace(config.asr, engine="auto", model=str(model), language=language, punctuation=False),
            correction=replace(config.correction, engine="auto"),
            llm=replace(config.llm, host=server.url),
        )
        async with started(config) as daemon:
            messages = await wire.transcribe(
                daemon.port, wire.turn(3).astype("<f4").tobytes(), f"{wire.MONO}&events=session,partial"
            )
    hello, partial, final = (next(m for m in messages if m["type"] == kind) for kind in KINDS)
    assert hello["engines"]["asr"].startswith("faster_whisper") and hello["engines"]["correction"].startswith("ollama")
    assert (partial["stage"], partial["text"]) == ("asr", HEARD)
    assert final["language"] == "ja" and final["text"] == MEANT
    assert [(s["corrected"], s["original_text"]) for s in final["segments"]] == [(True, HEARD)]
    assert final["models_used"]["whisper"] == "tiny" and final["models_used"]["llm"] == config.llm.model
    assert "".join(word["word"] for word in final["segments"][0]["words"]) == HEARD


KINDS = ("connection_established", "partial", "final")
