"""Whether this Python for Windows runs under wine, and what can't be tested there for that."""

import ctypes
import sys

import pytest

UNDER_WINE = sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")
"""Windows' own ntdll has no such function."""

NO_WHISPER = "CTranslate2's models end the process under wine, which lacks GetNumaNodeProcessorMaskEx"

needs_whisper = pytest.mark.skipif(UNDER_WINE, reason=NO_WHISPER)

needs_cpu_times = pytest.mark.skipif(
    UNDER_WINE, reason="wine gives the asking process's CPU time for any other's, so one that hangs seems to work"
)

needs_visual_cpp_runtime = pytest.mark.skipif(
    UNDER_WINE, reason="wine's own Visual C++ runtime has no version, so the doctor finds fault with it"
)
