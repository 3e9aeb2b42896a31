"""Memory that is free goes back to the system.

glibc keeps what it once needed, a little more with each thread that comes and goes: without this a daemon that restarts
stages and serves sessions by the ten thousand grows by megabytes an hour (docs/benchmarks.md), though it has no more in
use. Other systems' allocators are left alone.
"""

import asyncio
import ctypes
import sys

EVERY_S = 60.0


async def give_back() -> None:
    """Now and every minute, until it is cancelled."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    while trim is not None:  # musl has none
        await asyncio.to_thread(trim, 0)
        await asyncio.sleep(EVERY_S)
