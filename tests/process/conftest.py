"""The real daemon, with the embedded engines, for the tests of this folder: its stage processes are real ones."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_asyncio
from msgspec.structs import replace

from wernicke_daemon.config import Config, apply_profile, overrides
from wernicke_daemon.daemon import Daemon, running


def embedded(directory: Path, **changes: Any) -> Config:
    """Embedded engines on a free port of loopback; data goes into `directory`."""
    config = apply_profile(overrides(Config(), host="127.0.0.1", port=0, profile="embedded"))
    return replace(
        config,
        logging=replace(config.logging, console=False),
        runtime=replace(config.runtime, data_dir=str(directory), **changes.pop("runtime", {})),
        **changes,
    )


@asynccontextmanager
async def started(config: Config) -> AsyncIterator[Daemon]:
    async with running(config, progress=lambda line: None) as daemon:
        yield daemon


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(tmp_path_factory: Any) -> AsyncIterator[Daemon]:
    """One daemon for a module's tests. They share it, as clients do."""
    directory = tmp_path_factory.mktemp("data")
    async with started(embedded(directory)) as daemon:
        yield daemon
        await _quiet(daemon)


async def _quiet(daemon: Daemon) -> None:
    while daemon.gateway.active:
        await asyncio.sleep(0.02)
