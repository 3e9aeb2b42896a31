"""benchmarks/files.py: what becomes of the files is told, also of those that get no answer."""

import asyncio

import httpx
import pytest

from benchmarks import files

pytestmark = pytest.mark.asyncio


async def test_a_file_whose_line_breaks_counts_as_failed() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("broken")

    answers: list[int] = []
    async with (
        httpx.AsyncClient(base_url="http://daemon", transport=httpx.MockTransport(broken)) as client,
        files._sending(client, [b"RIFF", b"RIFF"], answers),
    ):
        await asyncio.sleep(0)
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)
    assert sum(status != 200 for status in answers) == 2
