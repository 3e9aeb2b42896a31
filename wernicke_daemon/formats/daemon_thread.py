"""Blocking calls for a coroutine, in a thread that does not outlive the program."""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonThread:
    """Does one call after another. At its end the interpreter waits for the threads of `asyncio.to_thread`, but not for
    this one, which may be waiting for input that never comes."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Its result, or its exception (which can't be StopIteration)."""
        future: Future[T] = Future()

        def answer() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function(*arguments))
            except Exception as error:
                future.set_exception(error)

        self._calls.put(answer)
        return await asyncio.wrap_future(future)

    def end(self, function: Callable[[], object]) -> None:
        """The last call, which nobody waits for: it is done when the one that is being done is."""
        self._calls.put(function)
        self._calls.put(None)

    def _work(self) -> None:
        while (act := self._calls.get()) is not None:
            act()
