"""These tests import torch and what stands on it; where that is not installed they are left out of a run that does not
ask for them, and fail one that does."""

from importlib.util import find_spec

import pytest

NEEDED = ("torch", "whisperx", "pyannote.audio")


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    return None if config.getoption("markexpr") == "models" else True


def pytest_configure(config: pytest.Config) -> None:
    missing = [name for name in NEEDED if not is_installed(name)]
    if config.getoption("markexpr") == "models" and missing:
        raise pytest.UsageError(f'the tests of real models need {", ".join(missing)}: pip install -e ".[gpu,test]"')


def is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
