"""Stages on Ray without the extra that brings it."""

from pathlib import Path

import pytest

from tests.process.conftest import embedded, started
from wernicke_daemon.config.schema import RaySettings, RayStages
from wernicke_daemon.processes.pool import StartFailed


async def test_the_start_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = tmp_path / "hidden" / "ray"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'ray'\")", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(hidden.parent))
    config = embedded(tmp_path / "data", ray=RaySettings(stages=RayStages(asr=2)))
    with pytest.raises(StartFailed, match=r"pip install 'wernicke-daemon\[ray\]'"):
        async with started(config):
            pass
