"""Whether this Python for Windows runs under wine."""

import ctypes
import sys

UNDER_WINE = sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")
"""Windows' own ntdll has no such function."""
