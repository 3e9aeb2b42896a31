"""Which models a config names, and what of their files is missing."""

import errno
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from wernicke_daemon.config.schema import Config
from wernicke_daemon.hardware.profiles import applied
from wernicke_daemon.models import catalog, hub, presence
from wernicke_daemon.models.catalog import Model


def names(config: Config) -> list[str]:
    return [model.name for model in catalog.named(config)]


def with_(section: str, **changes: Any) -> Config:
    config = applied(Config(), "rtx3090")
    return replace(config, **{section: replace(getattr(config, section), **changes)})


def test_the_models_of_the_original_design() -> None:
    """A large card with the defaults, in the order of the pipeline."""
    assert names(applied(Config(), "rtx3090")) == [
        "Systran/faster-whisper-large-v3",
        "jonatasgrosman/wav2vec2-large-xlsr-53-japanese",
        "pyannote/speaker-diarization-community-1",
        "qwen2.5:14b-instruct-q4_0",
    ]


def test_what_comes_along_needs_nothing() -> None:
    """Engines that bring their models, or have none."""
    assert names(applied(Config(), "embedded")) == []


def test_whisper_for_english_with_a_stand_in() -> None:
    """It is named, and so is what would run instead; for Japanese nothing would."""
    english, japanese = with_("asr", engine="auto", language="en"), with_("asr", engine="auto")
    assert catalog.named(english)[0].instead == "pocketsphinx"
    assert catalog.named(japanese)[0].instead == ""
    assert catalog.named(with_("asr", language="en"))[0].instead == ""


def test_mels_are_needed_where_they_are_not_what_is_assumed() -> None:
    """large-v3 and what was made from it has 128; older models do not have the file at all."""
    for size, needed in (("large-v3", True), ("large", True), ("turbo", True), ("large-v2", False), ("tiny", False)):
        [whisper, *_] = catalog.named(with_("asr", model=size))
        assert (catalog.MELS_FILE in catalog.lacking(whisper, ())) is needed
        assert catalog.belongs(whisper, catalog.MELS_FILE)


@pytest.mark.parametrize("changes", [{"language": "auto"}, {"language": "xx"}])
def test_no_alignment_model_is_named_where_none_is_known(changes: dict[str, str]) -> None:
    """A language without one, and a language that shows only later."""
    assert "times of words" not in {model.purpose for model in catalog.named(with_("asr", **changes))}


def test_the_older_pipeline_is_made_of_four_repositories() -> None:
    """pyannote.audio 4 reads community-1's PLDA for 3.1 too."""
    config = with_("diarization", model="pyannote/speaker-diarization-3.1")
    parts = [model for model in catalog.named(config) if model.purpose == "speakers"]
    assert [model.name for model in parts] == [
        "pyannote/speaker-diarization-3.1",
        "pyannote/segmentation-3.0",
        "pyannote/wespeaker-voxceleb-resnet34-LM",
        "pyannote/speaker-diarization-community-1",
    ]
    assert catalog.lacking(parts[-1], ()) == ["plda/xvec_transform.npz", "plda/plda.npz"]
    assert all(model.gated for model in parts)


def test_weights_are_wanted_once() -> None:
    """The second format is asked for only where the first is not to be had."""
    model = Model("times of words", "a/b", files=catalog.ALIGNMENT_FILES)
    assert "pytorch_model.bin" not in catalog.wanted_first(model)
    assert catalog.wanted_else(model, ["model.safetensors"]) == []
    assert catalog.wanted_else(model, ["config.json"]) == ["pytorch_model.bin"]
    assert catalog.lacking(model, ["pytorch_model.bin", "config.json", "preprocessor_config.json", "vocab.json"]) == []


def test_a_pipeline_says_what_it_is_made_of() -> None:
    """Folders beside its config.yaml; what is from elsewhere is not looked for here."""
    model = Model("speakers", "mine", files=(("config.yaml",),))
    whole = catalog.with_parts(model, "a: $model/segmentation\nb:\n  $model/plda\nc: pyannote/segmentation-3.0\n")
    assert catalog.lacking(whole, ["config.yaml"]) == [
        "segmentation/pytorch_model.bin",
        "plda/xvec_transform.npz",
        "plda/plda.npz",
    ]


def test_a_directory_of_ones_own(tmp_path: Path) -> None:
    """Whole, it is there; what it lacks is named; the hub is not asked for it."""
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    [whisper, *_] = catalog.named(with_("asr", model=str(tmp_path)))
    assert hub.lacking(whisper) == ["vocabulary.json"]
    with pytest.raises(hub.NotFetched, match=r"lacks vocabulary\.json"):
        hub.fetch(whisper)
    (tmp_path / "vocabulary.txt").write_text("a")
    assert hub.lacking(whisper) == []
    assert hub.verify(whisper) == hub.Verification([], 0)


def test_what_keeps_the_daemon_from_starting(tmp_path: Path) -> None:
    """Files that are not here, with how to get them; Ollama is not asked."""
    config = with_("asr", model=str(tmp_path))
    config = replace(
        config,
        alignment=replace(config.alignment, engine="whisper"),
        diarization=replace(config.diarization, engine="onnx"),
    )
    [missing] = presence.missing(config)
    assert (missing.model.purpose, missing.model.instead) == ("recognition", "") and "lacks model.bin" in missing.how
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
        (tmp_path / name).write_text("{}")
    assert presence.missing(config) == []


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("config.json", b"", "is empty"),
        ("config.json", b"{", "is damaged"),
        ("model.bin", hub.LFS_POINTER + b"/v1\noid sha256:0\n", "is only a pointer"),
        ("plda/plda.npz", b"not a zip file at all", "is damaged"),
        ("pytorch_model.bin", b"neither zip nor pickle", "is damaged"),
        ("model.safetensors", (10**6).to_bytes(8, "little") + b"{}", "is damaged"),
        ("vocab.json", "\ufeff".encode("utf-16"), "is damaged"),
    ],
)
def test_files_that_cannot_be_read(name: str, content: bytes, problem: str, tmp_path: Path) -> None:
    """Told by their kind, without the packages that read them; a clone without its large files shows too."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    verdict = hub.verify(Model("recognition", str(tmp_path), files=((name,),)))
    assert [line for line in verdict.problems if problem in line and name in line]


def test_a_full_disk_is_named() -> None:
    """Also where the hub's client has wrapped it up."""
    wrapped = RuntimeError("download failed")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert "disk is full" in hub.why_refused(wrapped, "a/b", token=False)
    assert hub.why_refused(RuntimeError("?"), "a/b", token=False) == ""
