"""A daemon with the embedded engines that wants a key, and its web process; as programs made for others meet it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.process.conftest import wanting
from wernicke_daemon.daemon import Daemon

KEY = "b" * 64
README = Path(__file__).parents[2] / "README.md"


@dataclass(frozen=True)
class Served:
    daemon: Daemon
    port: int  # of the web process

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.clients)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with wanting(KEY, tmp_path_factory.mktemp("data")) as daemon:
        assert daemon.web.port is not None
        yield Served(daemon, daemon.web.port)


def from_readme(name: str, host: str, key: str = KEY) -> dict[str, Any]:
    """What the README's lines under that mark define, run as they stand there, with that for HOST and TOKEN."""
    block = README.read_text(encoding="utf-8").partition(f"<!-- {name} -->")[2].partition("```")[2].partition("```")[0]
    lines = block.partition("\n")[2].replace("HOST:8001", host).replace("TOKEN", key)
    assert lines
    defined: dict[str, Any] = {}
    exec(lines, defined)
    return defined
