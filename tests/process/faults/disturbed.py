"""Daemons that are disturbed, and what is compared."""

import asyncio
import json
import urllib.request
from typing import Any


def speakers(final: dict[str, Any]) -> list[str | None]:
    return [segment["speaker"] for segment in final["segments"]]


async def problems(port: int) -> list[str]:
    """Those that /health tells."""

    def page() -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20) as answer:
            told: list[str] = json.load(answer)["problems"]
            return told

    return await asyncio.to_thread(page)


async def told(port: int, words: str) -> bool:
    """Whether a problem says so."""
    return any(words in problem for problem in await problems(port))
