"""Audio files that are sent."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import numpy as np
import pytest

from wernicke_daemon.formats import audio_files


async def test_pacing_follows_the_clock_without_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunk n goes out n chunk lengths after the start, however late each wake-up was."""
    now = 50.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds + 0.015

    monkeypatch.setattr(audio_files, "clock", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(audio_files, "asyncio", SimpleNamespace(sleep=sleep))

    async def chunks() -> AsyncIterator[audio_files.Chunk]:
        for _ in range(100):
            yield np.zeros(1600, dtype=np.float32)

    sent_at = [now async for _ in audio_files.stream(chunks(), 16_000, realtime=True)]
    assert sent_at == pytest.approx([50 + 0.1 * n + 0.015 for n in range(1, 101)], abs=1e-6)
