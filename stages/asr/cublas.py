"""Where cuBLAS 12 is: CTranslate2 loads it by name when it first computes on a GPU, and does not bring it along."""

import ctypes
import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

WITH_CUBLAS = ("torch", "nvidia.cublas")
"""Those that bring it: PyTorch for CUDA on Windows, and nvidia-cublas-cu12, which PyTorch on Linux takes it from.
PyTorch's comes first, because alignment may import PyTorch in the same process, and two versions do not mix."""
LIBRARIES = {"win32": "cublas64_12.dll", "linux": "libcublas.so.12"}


def make_findable() -> None:
    """Does nothing where no package brings cuBLAS: the system may have it in a place of its own.

    On Linux it is loaded here, because a process can't change where it searches; loaded once, a library is found by
    its name.
    """
    library = find()
    if library is None:
        return
    if sys.platform == "win32":
        os.add_dll_directory(str(library.parent))
        os.environ["PATH"] = str(library.parent) + os.pathsep + os.environ.get("PATH", "")
    else:
        with suppress(OSError):  # a broken one shows in the warm-up, with a way out
            ctypes.CDLL(str(library))


def find() -> Path | None:
    """The file; None where no package brings one for this system."""
    name = LIBRARIES.get(sys.platform)
    places = [place / part for package in WITH_CUBLAS for place in directories(package) for part in ("lib", "bin")]
    return next((place / name for place in places if (place / name).is_file()), None) if name else None


def directories(package: str) -> list[Path]:
    """Where a package lies, found without importing it; empty where it is not installed."""
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:  # the package above it
        return []
    return [Path(place) for place in (spec.submodule_search_locations if spec else None) or ()]
