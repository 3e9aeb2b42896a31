"""cuBLAS is found in the packages that bring it, without importing them."""

import os
import sys
from pathlib import Path

import pytest

from stages.asr import cublas

BROKEN = "raise RuntimeError('imported')"
PYTORCH = Path("torch", "lib", "cublas64_12.dll")
NVIDIA = Path("nvidia", "cublas", "bin", "cublas64_12.dll")
NVIDIA_LINUX = Path("nvidia", "cublas", "lib", "libcublas.so.12")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages are installed: none of WITH_CUBLAS but those a test puts there."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(BROKEN, encoding="utf-8")
    (tmp_path / "nvidia" / "cublas").mkdir(parents=True)
    (tmp_path / "nvidia" / "__init__.py").touch()
    (tmp_path / "nvidia" / "cublas" / "__init__.py").write_text(BROKEN, encoding="utf-8")
    for name in [name for name in sys.modules if name == "nvidia" or name.startswith(("torch", "nvidia."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def installed(site: Path, *libraries: Path) -> None:
    for library in libraries:
        (site / library).parent.mkdir(parents=True, exist_ok=True)
        (site / library).write_bytes(b"no library")


@pytest.mark.parametrize(
    ("platform", "libraries", "found"),
    [
        ("win32", [NVIDIA], NVIDIA),
        ("win32", [PYTORCH, NVIDIA], PYTORCH),
        ("win32", [NVIDIA_LINUX], None),
        ("linux", [NVIDIA_LINUX], NVIDIA_LINUX),
        ("linux", [PYTORCH], None),
        ("darwin", [NVIDIA_LINUX], None),
    ],
)
def test_where_cublas_is(
    site: Path, monkeypatch: pytest.MonkeyPatch, platform: str, libraries: list[Path], found: Path | None
) -> None:
    """PyTorch's comes first; a PyTorch for the processor alone has none, and macOS no CUDA."""
    installed(site, *libraries)
    monkeypatch.setattr(sys, "platform", platform)
    assert cublas.find() == (site / found if found else None)
    assert "torch" not in sys.modules


def test_on_windows_both_ways_of_searching_find_it(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its directory is added for LoadLibrary with and without the newer flags."""
    installed(site, NVIDIA)
    added: list[str] = []
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("os.add_dll_directory", added.append, raising=False)
    monkeypatch.setenv("PATH", "before")
    cublas.make_findable()
    assert added == [str((site / NVIDIA).parent)]
    assert os.environ["PATH"] == f"{added[0]}{os.pathsep}before"


def test_on_linux_it_is_loaded_beforehand(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that CTranslate2 finds it by name, in a process whose search path is fixed."""
    installed(site, NVIDIA_LINUX)
    opened: list[str] = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", opened.append)
    cublas.make_findable()
    assert opened == [str(site / NVIDIA_LINUX)]


def test_a_broken_library_is_left_to_the_warm_up(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is no library stops nothing here."""
    installed(site, NVIDIA_LINUX)
    monkeypatch.setattr(sys, "platform", "linux")
    cublas.make_findable()


def test_without_the_packages_nothing_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without them may have cuBLAS by other means."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(cublas, "WITH_CUBLAS", ("no_such_package", "no_such.package"))
    monkeypatch.setattr("os.add_dll_directory", None, raising=False)
    cublas.make_findable()
