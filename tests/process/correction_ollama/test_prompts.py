"""Prompts, and texts too long for them."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
from structlog.testing import capture_logs

from ipc.audio_handle import AudioHandle
from ipc.messages import CorrectionResult, CorrectionWork
from ipc.settings import AsrSettings, CorrectionSettings, LlmSettings, StageSettings
from stages.correction import fitting, ollama
from stages.correction.none import NoCorrection
from stages.correction.ollama import OllamaCorrection
from stages.process.engine_registry import create
from tests.ollama_server import OllamaServer
from tests.process.correction_ollama.engine import KANA, KANJI, correct, no_audio, settings, unavailable, warm


def test_japanese_is_asked_in_japanese_and_judged_by_its_sounds(server: OllamaServer) -> None:
    """Japanese has instructions and a guard of its own; any other language shares the plain ones."""
    server.corrections["5時です"] = "6時です"
    with warm(server) as engine:
        assert correct(engine, "5時です", language="ja").refused == ("number",)
        correct(engine, "one", language="de")
    japanese, other = (chat["messages"][0]["content"] for chat in server.chats())
    assert "校正" in japanese and "proofread" in other


@pytest.mark.parametrize(("capabilities", "told"), [(["completion"], None), (["completion", "thinking"], False)])
def test_a_model_that_can_think_is_told_not_to(
    server: OllamaServer, capabilities: list[str], told: bool | None
) -> None:
    """One that can't is told nothing: it would refuse."""
    server.capabilities = capabilities
    with warm(server) as engine:
        correct(engine, "one")
    assert [chat.get("think") for chat in server.chats()] == [told] * len(server.chats())


def test_prompts_of_the_user_are_sent(server: OllamaServer, tmp_path: Path) -> None:
    """correction.prompts names a directory whose files go before those of the package."""
    (tmp_path / "en.toml").write_text('system = "Mend the spelling."', "utf-8")
    mine = StageSettings(
        correction=CorrectionSettings(prompts=str(tmp_path)), llm=LlmSettings(host=server.url), asr=AsrSettings()
    )
    engine = OllamaCorrection("correction", mine)
    engine.load()
    engine.warm_up()
    correct(engine, "one")
    engine.close()
    assert [message["role"] for message in server.chats()[-1]["messages"]] == ["system", "user"]
    assert server.chats()[-1]["messages"][0]["content"] == "Mend the spelling."


@pytest.mark.parametrize("letter", ["語", "t"])
def test_a_glossary_as_long_as_may_be_leaves_room_for_the_texts(server: OllamaServer, letter: str) -> None:
    """Of 200 terms with 100 characters the first ones go along, and no context; the texts are whole and corrected."""
    glossary = tuple(f"{number:03}".ljust(100, letter) for number in range(200))
    work = CorrectionWork((KANA, "ああ" * 50), "ja", glossary, ("いい" * 200,))
    with warm(server) as engine, capture_logs() as logs:
        assert engine.process(work, no_audio) == CorrectionResult((KANJI, "ああ" * 50 + "。"))
    (chat,) = server.chats()
    asked = json.loads(chat["messages"][-1]["content"])
    assert [segment["text"] for segment in asked["segments"]] == list(work.texts)
    assert 5 < len(asked["glossary"]) < 200 and asked["glossary"] == list(glossary[: len(asked["glossary"])])
    assert asked["context"] == []
    assert fitting.prompt_tokens(chat["messages"]) + chat["options"]["num_predict"] <= chat["options"]["num_ctx"]
    left_out = 200 - len(asked["glossary"])
    said = {"terms": left_out, "lines": 1, "requests": 1}
    assert logs == [{"event": "llm_prompt_shortened", **said, "log_level": "info"}]


def test_prompts_that_are_all_shortened_are_told_of_now_and_again(
    server: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it begins, and later how often; not with every request."""
    now = [0.0]
    monkeypatch.setattr(ollama, "clock", SimpleNamespace(monotonic=lambda: now[0]))
    work = CorrectionWork(("one",), "en", tuple(f"{number:03}".ljust(100, "t") for number in range(200)))
    with warm(server) as engine, capture_logs() as logs:
        for at in (0.0, 1.0, ollama.SHORTENED_AGAIN_S - 1.0, ollama.SHORTENED_AGAIN_S):
            now[0] = at
            engine.process(work, no_audio)
    assert len(server.chats()) == 4
    assert [(line["event"], line["requests"]) for line in logs] == [
        ("llm_prompt_shortened", 1),
        ("llm_prompt_shortened", 3),
    ]


def test_texts_without_room_for_all_go_one_by_one(server: OllamaServer) -> None:
    """A small context makes for more requests; a text that does not fit alone stays as recognised."""
    texts = ("word " * 60 + "one", "word " * 240, "word " * 60 + "three")
    with warm(server, num_ctx=1600) as engine, capture_logs() as logs:
        result = correct(engine, *texts)
    assert result == CorrectionResult((f"{texts[0]}.", None, f"{texts[2]}."), (), ("LLM_UNAVAILABLE",))
    assert [len(json.loads(chat["messages"][-1]["content"])["segments"]) for chat in server.chats()] == [1, 1]
    assert logs[0] == {"event": "llm_text_too_long", "segments": 1, "num_ctx": 1600, "log_level": "warning"}
    assert "word" not in str(logs)


def test_a_context_without_room_for_the_prompt_is_refused(server: OllamaServer) -> None:
    """Before anything is asked; the sentence says how much it takes."""
    engine = OllamaCorrection("correction", settings(server.url, num_ctx=512))
    assert "set it to 1322 or more, got 512" in unavailable(engine.load)
    engine.close()
    assert server.requests == []


def test_none_corrects_nothing() -> None:
    """The engine `none` leaves every text as recognised and reads no audio."""

    def forbidden(handle: AudioHandle) -> NoReturn:
        raise AssertionError

    engine = create("correction", "none", StageSettings())
    assert isinstance(engine, NoCorrection)
    engine.load()
    engine.warm_up()
    assert engine.process(CorrectionWork(("one", "two"), "en"), forbidden) == CorrectionResult((None, None))
    engine.close()
