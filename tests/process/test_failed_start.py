"""A start that fails after something was opened closes it: the next one, in the same process or not, finds it free."""

import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.process.conftest import embedded, started
from wernicke_daemon.daemon import NoSharedMemory


@pytest.mark.skipif(sys.platform != "linux", reason="other systems promise more shared memory than they have")
async def test_the_data_directory_is_free_again(tmp_path: Path) -> None:
    """Rings of 230 GB are too much; the journal is nobody's afterwards."""
    config = embedded(tmp_path)
    too_much = replace(config, max_connections=500, audio=replace(config.audio, ring_seconds=3600.0))
    with pytest.raises(NoSharedMemory):
        async with started(too_much):
            pass
    async with started(config) as daemon:
        assert daemon.status.health().problems == []
