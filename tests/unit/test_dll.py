"""A library that Windows can't load: what is said, and where."""

import struct
import sys
from pathlib import Path

import pytest

from ipc import dll, win32
from ipc.errors import EngineUnavailable
from ipc.messages import Init
from ipc.settings import StageSettings
from stages.process import engine_registry, worker
from stages.testing.faults import Faults
from wernicke_daemon import cli, not_started
from wernicke_daemon.client import Exit
from wernicke_daemon.commands import status
from wernicke_daemon.doctor import checks

NO_DLL = ImportError("DLL load failed while importing soxr_ext: The specified module could not be found.", name="soxr")


def no_module() -> OSError:
    """As PyTorch raises it on Windows; other systems' errors have no such number."""
    error = OSError("Error loading c10.dll or one of its dependencies.")
    error.winerror = 126  # type: ignore[attr-defined,unused-ignore]
    return error


OF_CTYPES = FileNotFoundError(
    "Could not find module 'libiomp5md.dll' (or one of its dependencies). Try using the full ..."
)


@pytest.mark.parametrize("error", [NO_DLL, no_module(), OF_CTYPES])
def test_the_way_out_is_named(error: Exception) -> None:
    """Also behind what was said instead."""
    assert "Microsoft.VCRedist.2015+.x64" in str(dll.why(error))
    try:
        try:
            raise error
        except Exception as cause:
            raise EngineUnavailable("needs the package 'soxr'; install it") from cause
    except EngineUnavailable as said:
        assert dll.why(said) == dll.why(error)


@pytest.mark.parametrize(
    "error", [ImportError("No module named 'soxr'"), OSError("no"), RuntimeError(str(OF_CTYPES)), None]
)
def test_other_errors_are_other_errors(error: Exception | None) -> None:
    assert dll.why(error) is None


def test_an_engine_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(*_: object) -> None:
        raise EngineUnavailable("asr engine 'pocketsphinx' needs the package 'soxr'; install it") from NO_DLL

    monkeypatch.setattr(engine_registry, "create", create)
    with pytest.raises(EngineUnavailable, match=r"asr engine 'pocketsphinx': a library could not be loaded .*winget"):
        worker.load("asr", "pocketsphinx", Init("", StageSettings()), Faults("asr", 1, ()))


def test_a_command_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In a line, without a traceback."""

    def fails(*_: object) -> None:
        raise NO_DLL

    monkeypatch.setattr(status, "_status", fails)
    assert cli.main(["status"]) == Exit.USAGE
    assert "VCRedist" in capsys.readouterr().err


def test_a_start_without_a_console_says_so() -> None:
    assert "VCRedist" in not_started._line(NO_DLL) and "VCRedist" in not_started._text(NO_DLL)


def test_the_doctor_looks_for_it() -> None:
    """There, new enough, or what to do."""
    assert checks.vc_runtime((14, 44)).ok and checks.vc_runtime(dll.OLDEST_VC_RUNTIME).ok
    for version in ((14, 29), None):
        check = checks.vc_runtime(version)
        assert not check.ok and "winget" in check.fix


def test_a_version_is_read() -> None:
    """Of the structure that Windows gives."""
    info = struct.pack("<13I", 0xFEEF04BD, 0x10000, 14 << 16 | 44, 35211 << 16, *[0] * 9)
    assert len(info) == win32.FIXED_FILE_INFO and win32.first_numbers(info) == (14, 44)


@pytest.mark.skipif(sys.platform != "win32", reason="libraries of Windows")
def test_a_version_is_read_of_a_library(tmp_path: Path) -> None:
    """Python's own has Python's; no file has none, and neither has one that is no library."""
    python = Path(sys.base_prefix, "python{}{}.dll".format(*sys.version_info))
    assert win32.file_version(python) == sys.version_info[:2]
    assert win32.file_version(tmp_path / "msvcp140.dll") is None
    (tmp_path / "no.dll").write_bytes(b"MZ")
    assert win32.file_version(tmp_path / "no.dll") is None
