"""What a Whisper engine needs to start: a whole model on this machine, a device, and room on it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ipc.errors import EngineUnavailable
from ipc.messages import GpuMemory
from stages.asr.compute_type import gpu_needs
from stages.asr.faster_whisper import FasterWhisper
from stages.asr.short_context import ShortContextModel
from stages.asr.whisper_files import model_directory
from tests.tiny_whisper import build_tiny_whisper, whisper_engine

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny-ja")


@pytest.fixture
def damaged(model: Path, tmp_path: Path) -> Path:
    """A copy of the model to break."""
    return Path(shutil.copytree(model, tmp_path / "model"))


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the hub's client keeps models; empty."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put_into_cache(model: Path, hub_cache: Path, repository: str) -> Path:
    """As a download leaves it; returns the directory with the files."""
    place = hub_cache / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT, encoding="ascii")
    return Path(shutil.copytree(model, place / "snapshots" / COMMIT))


# --- the model's files -------------------------------------------------------------------------------


@pytest.mark.usefixtures("hub_cache")
@pytest.mark.parametrize(
    ("model", "repository"),
    [
        ("large-v3", "Systran/faster-whisper-large-v3"),
        ("turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo"),
        ("someone/some-model", "someone/some-model"),
    ],
)
def test_a_model_that_is_not_here_is_not_downloaded(model: str, repository: str) -> None:
    """The sentence says how to get it, and the ways to do without."""
    ways_out = rf"`wernicke models pull`.*{repository}.*asr\.model.*--profile embedded"
    with pytest.raises(EngineUnavailable, match=ways_out):
        whisper_engine(model).load()


@pytest.mark.parametrize("name", ["large-v3", "Systran/faster-whisper-large-v3"])
def test_a_downloaded_model_is_loaded_by_size_or_hub_id(model: Path, hub_cache: Path, name: str) -> None:
    """It is read from the cache of the hub's client, without the hub."""
    place = put_into_cache(model, hub_cache, "Systran/faster-whisper-large-v3")
    assert model_directory(name) == place
    engine = whisper_engine(name)
    engine.load()
    engine.warm_up()


def test_a_download_that_was_broken_off_is_no_model(model: Path, hub_cache: Path) -> None:
    """What is missing is named, with the command that says more."""
    (put_into_cache(model, hub_cache, "Systran/faster-whisper-large-v3") / "model.bin").unlink()
    with pytest.raises(EngineUnavailable, match=r"lacks model\.bin:.*`wernicke models verify`"):
        whisper_engine("large-v3").load()


@pytest.mark.parametrize("name", ["large-v33", "/no/such/directory/of/models"])
def test_a_name_that_no_model_can_have(name: str) -> None:
    """A mistyped size or path is called that, and the sizes are listed."""
    with pytest.raises(EngineUnavailable, match=rf"{name}.*no directory.*large-v3.*asr\.model"):
        whisper_engine(name).load()


@pytest.mark.parametrize("name", ["model.bin", "config.json", "vocabulary.json", "tokenizer.json"])
def test_a_missing_file_is_named(damaged: Path, name: str) -> None:
    """A directory that lacks a file is refused by that file's name."""
    (damaged / name).unlink()
    with pytest.raises(EngineUnavailable, match=rf"lacks {name}:"):
        whisper_engine(damaged).load()


def test_an_older_models_vocabulary_is_a_text_file(damaged: Path) -> None:
    """vocabulary.txt serves as well as vocabulary.json."""
    (damaged / "vocabulary.json").rename(damaged / "vocabulary.txt")
    assert model_directory(str(damaged)) == damaged


def test_without_the_preprocessors_file_a_model_of_128_bands_is_refused(tmp_path: Path) -> None:
    """Where preprocessor_config.json is missing or another model's, the bands would be wrong, and the text garbage."""
    model = build_tiny_whisper(tmp_path / "model", mels=128)
    whisper_engine(model).load()
    preprocessor = model / "preprocessor_config.json"
    others = preprocessor.read_text(encoding="utf-8").replace("128", "80")
    preprocessor.unlink()
    with pytest.raises(EngineUnavailable, match=r"preprocessor_config\.json.*128.*`wernicke models verify`"):
        whisper_engine(model).load()
    preprocessor.write_text(others, encoding="utf-8")
    with pytest.raises(EngineUnavailable, match=r"preprocessor_config\.json.*128"):
        whisper_engine(model).load()


@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json"])
def test_a_corrupt_file_is_a_sentence(damaged: Path, name: str) -> None:
    """What the libraries say of a broken file becomes one line with the ways out."""
    whole = (damaged / name).read_bytes()
    (damaged / name).write_bytes(whole[: min(1000, len(whole) // 2)])
    with pytest.raises(EngineUnavailable, match=r"can't be loaded.*`wernicke models verify`.*--profile emb") as error:
        whisper_engine(damaged).load()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("multilingual", "language"), [(False, "ja"), (True, "xx")])
def test_a_model_that_does_not_know_the_configured_language(tmp_path: Path, multilingual: bool, language: str) -> None:
    """An English-only model does not start for Japanese, nor any for a language that nobody speaks."""
    model = build_tiny_whisper(tmp_path / "tiny.en", " hello", multilingual=multilingual)
    with pytest.raises(EngineUnavailable, match=rf"tiny\.en does not know the language '{language}'.*asr\.model"):
        whisper_engine(model, language).load()


def test_a_failed_warm_up_is_a_sentence(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries that are missed only at the first computation are named with the way out."""
    engine = whisper_engine(model)
    engine.load()
    reason = "Library libcublas.so.12 is not found or cannot be loaded"

    def transcribe(*_: object, **__: object) -> None:
        raise RuntimeError(reason)

    monkeypatch.setattr(engine._whisper, "transcribe", transcribe)
    with pytest.raises(EngineUnavailable, match=rf"{reason}.*nvidia-cublas-cu12.*asr\.device = \"cpu\""):
        engine.warm_up()


# --- the device --------------------------------------------------------------------------------------


def test_a_device_that_is_not_there(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`cuda` without a card stops the start; `auto` would have gone on without."""
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 0)
    with pytest.raises(EngineUnavailable, match=r"no such CUDA device.*asr\.device = \"cpu\""):
        whisper_engine(model, device="cuda").load()
    whisper_engine(model, device="auto").load()


PretendCard = Callable[[int | None], list[dict[str, Any]]]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> PretendCard:
    """Pretends a card with so many MiB free, None for a driver that does not say. The model that is meant for it is
    opened on the processor; what it was meant to be opened with comes back in the list."""

    def pretend(free_mib: int | None) -> list[dict[str, Any]]:
        opened: list[dict[str, Any]] = []

        def open_model(directory: str, **options: Any) -> ShortContextModel:
            opened.append(options)
            return ShortContextModel(directory, device="cpu", compute_type="float32")

        monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 1)
        monkeypatch.setattr("ctranslate2.get_supported_compute_types", lambda device: {"float16", "int8_float16"})
        monkeypatch.setattr("ipc.gpu.figures", lambda card: None if free_mib is None else {"free_mib": free_mib})
        monkeypatch.setattr("ipc.gpu.process_mib", {os.getpid(): 4321}.get)
        monkeypatch.setattr("stages.asr.cublas.make_findable", lambda: None)
        monkeypatch.setattr("stages.asr.short_context.ShortContextModel", open_model)
        return opened

    return pretend


def on_the_card(model: Path) -> FasterWhisper:
    return whisper_engine(model, device="auto", compute_type="float16")


def needs(model: Path) -> dict[str, int]:
    return gpu_needs(str(model), (model / "model.bin").stat().st_size)


@pytest.mark.parametrize(("short_of", "chosen"), [(0, "float16"), (1, "int8_float16")])
def test_the_compute_type_is_what_there_is_memory_for(
    model: Path, card: PretendCard, short_of: int, chosen: str
) -> None:
    """One MiB less than float16 needs, and the model is opened as the next type; one log line says why."""
    free = needs(model)["float16"] - short_of
    opened = card(free)
    with capture_logs() as lines:
        on_the_card(model).load()
    assert [(options["device"], options["compute_type"]) for options in opened] == [("cuda", chosen)]
    (line,) = lines
    assert line == {
        "event": "asr_compute_type",
        "log_level": "info",
        "device": "cuda",
        "wanted": "float16",
        "supported": ["float16", "int8_float16"],
        "chosen": chosen,
        "needed_mib": needs(model)[chosen],
        "free_mib": free,
    }


def test_a_model_that_is_too_big_for_the_card_is_not_opened(model: Path, card: PretendCard) -> None:
    """The sentence has the numbers of the smallest type, and the ways out."""
    opened, needed = card(1000), needs(model)["int8_float16"]
    with pytest.raises(
        EngineUnavailable, match=rf"needs {needed} MiB .* as int8_float16 and 1000 MiB .*smaller.*asr\.device = \"cpu\""
    ):
        on_the_card(model).load()
    assert opened == []


def test_a_driver_that_does_not_say_how_much_is_free(model: Path, card: PretendCard) -> None:
    """The wanted type is tried."""
    opened = card(None)
    on_the_card(model).load()
    assert [options["compute_type"] for options in opened] == ["float16"]


def test_on_a_card_it_says_what_the_driver_counts(model: Path, card: PretendCard) -> None:
    """Nothing of its memory is PyTorch's."""
    card(None)
    engine = on_the_card(model)
    engine.load()
    assert engine.gpu_memory() == GpuMemory(allocated=0, reserved=0, process=4321)
