"""Waiting in tests for what another task, thread or process brings about."""

import asyncio
import contextlib
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.wine import UNDER_WINE

WITHIN_S = 300.0 if UNDER_WINE else 60.0
"""Far longer than anything that a test waits for takes, also where it has to load a stage on a busy machine, where a
process under wine takes half a minute to start."""


async def eventually(what: Callable[[], Any], within: float = WITHIN_S) -> Any:
    """Its value, or that of what it returns to be awaited, once that is true. Raises AssertionError, which says what
    was waited for, after so many seconds."""
    for pause_s in _pauses(what, within):
        value = what()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        await asyncio.sleep(pause_s)


def eventually_sync(what: Callable[[], Any], within: float = WITHIN_S) -> Any:
    """The same where nothing else has to run in this thread meanwhile."""
    for pause_s in _pauses(what, within):
        if value := what():
            return value
        time.sleep(pause_s)


def _pauses(what: Callable[[], Any], within: float) -> Iterator[float]:
    """Seconds from each look to the next: none at first, as most is soon so. The last look is after the time limit."""
    ends, pause_s = time.monotonic() + within, 0.0
    while True:
        late = time.monotonic() >= ends
        yield pause_s
        if late:
            raise AssertionError(f"not so within {within:g} s: {_said(what)}")
        pause_s = min(0.02, pause_s + 0.001)


def _said(what: Callable[[], Any]) -> str:
    """The statement that has the lambda; the name of what is none, or has no source file."""
    if getattr(what, "__name__", "") == "<lambda>":
        with contextlib.suppress(OSError):
            return " ".join(inspect.getsource(what).split())
    return repr(what)
