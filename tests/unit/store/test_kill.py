"""What a killed process had delivered is there."""

import subprocess
import sys
from pathlib import Path

from tests.unit.store.kept import sequences

ROOT = Path(__file__).parents[3]


WRITER = """
import asyncio, functools, itertools, logging, sys
from pathlib import Path
import structlog
from tests.unit.store.kept import final
from wernicke_daemon.records.store import Store

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # stdout is for numbers

async def main():
    kept = Store(Path(sys.argv[1]), 0)
    kept.open()
    under_way = asyncio.Semaphore(20)

    def delivered(number):
        under_way.release()
        print(number, flush=True)

    for number in itertools.count(1):
        await under_way.acquire()
        kept.keep("s", number, final(number), functools.partial(delivered, number))

asyncio.run(main())
"""


def test_everything_delivered_survives_a_kill(file: Path) -> None:
    """kill -9 in mid-stream: what the writer said was delivered is in the file, without a gap, for a reader alone."""
    arguments = [sys.executable, "-c", WRITER, str(file)]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        try:
            delivered = [int(writer.stdout.readline()) for _ in range(300)]
        finally:
            writer.kill()  # it never ends by itself
        delivered += [int(line) for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    found = sequences(file)
    assert delivered == list(range(1, len(delivered) + 1))
    assert found == list(range(1, len(found) + 1)) and len(found) >= len(delivered)
