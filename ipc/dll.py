"""What keeps Windows from loading a library, in a sentence. Needs nothing but Python.

No wheel brings the Visual C++ runtime along that soxr, onnxruntime, CTranslate2, kaldi-native-fbank and PyTorch were
built for, and a fresh PC has none, or an old one.
"""

from collections.abc import Iterator

OLDEST_VC_RUNTIME = (14, 40)
"""Of MSVCP140.dll. Code built with a newer compiler crashes in the mutexes of an older one
(https://github.com/microsoft/onnxruntime/pull/21005, https://github.com/microsoft/STL/pull/3824)."""

INSTALL = (
    "install the Visual C++ runtime (winget install --id Microsoft.VCRedist.2015+.x64, or "
    "https://aka.ms/vs/17/release/vc_redist.x64.exe) and start again"
)

_WORDS = ("DLL load failed", "(or one of its dependencies)")
"""Of Python where it imports a module, and of ctypes, by which CTranslate2 loads its libraries."""

_NOT_LOADED = (126, 127, 1114)
"""Of Windows (winerror.h): a module or a procedure was not found, or its initialisation failed."""


def why(error: BaseException | None) -> str | None:
    """What to do where `error`, or what it comes from, is a library that could not be loaded; else None."""
    for each in _causes(error):
        told = isinstance(each, ImportError | OSError) and any(words in str(each) for words in _WORDS)
        if told or getattr(each, "winerror", None) in _NOT_LOADED:
            return f"a library could not be loaded ({' '.join(str(each).split())}): {INSTALL}"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen = set[int]()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
