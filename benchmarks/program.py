"""Another program of a benchmark, such as its clients, and what it says: asyncio can't start any on Windows, with the
event loop that all here runs on (`ipc.event_loop`)."""

import asyncio
import subprocess

from wernicke_daemon.processes import process_tree


class Program:
    """What it prints is read here, what it says on stderr is seen."""

    def __init__(self, *arguments: str) -> None:
        """`python ARGUMENTS`, which is the process itself, also where a venv's python.exe is but a launcher."""
        self._process = subprocess.Popen(
            [process_tree.python(), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=process_tree.environment(),
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self.pid = self._process.pid

    @property
    def failed(self) -> bool:
        """After `rest`."""
        return self._process.returncode != 0

    def tell(self, line: bytes) -> None:
        """On its stdin."""
        self._stdin.write(line + b"\n")
        self._stdin.flush()

    async def line(self, within_s: float | None = None) -> bytes:
        """The next that it prints; empty where it has ended. Raises TimeoutError, and ends it."""
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.to_thread(self._stdout.readline)
        except TimeoutError:
            self.end()
            raise

    def end(self) -> None:
        """At once."""
        self._process.terminate()

    async def rest(self) -> bytes:
        """What it prints up to its end; the end of its stdin has come."""
        self._stdin.close()
        said = await asyncio.to_thread(self._stdout.read)
        await asyncio.to_thread(self._process.wait)
        return said
