"""The limit on open files: raised where that is allowed, and told from a full disk where it is reached."""

import subprocess
import sys
from pathlib import Path

import pytest

from wernicke_daemon.hardware import descriptors
from wernicke_daemon.hardware.descriptors import WANTED, raised

ROOT = Path(__file__).parents[2]
UNLIMITED = -1

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"),
    [
        (256, UNLIMITED, WANTED),
        (1024, 524_288, WANTED),
        (300, 700, 700),
        (700, 700, 700),
        (65_536, 524_288, 65_536),
        (UNLIMITED, UNLIMITED, UNLIMITED),
    ],
)
def test_as_many_as_are_wanted_and_allowed(soft: int, hard: int, wanted: int) -> None:
    """And never fewer than before."""
    assert raised(soft, hard, UNLIMITED) == wanted


RAISE = """
import resource
from wernicke_daemon.hardware import descriptors

resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
descriptors.raise_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def run(script: str, *arguments: str) -> str:
    child = subprocess.run([sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    return child.stdout


@posix_only
def test_a_process_has_what_it_may_have_and_says_that_it_is_little() -> None:
    said = run(RAISE)
    assert "(300, 300)" in said
    assert "few_descriptors" in said


def test_raising_is_harmless_everywhere() -> None:
    descriptors.raise_limit()


NONE_LEFT = """
import asyncio, resource, sys
from pathlib import Path
import numpy as np
from tests.waiting import eventually_sync
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import SessionMeta
from wernicke_daemon.records.store import Store

async def main(directory):
    store = Store(directory / "t.db", 0)
    store.open()
    journal = Journal(directory / "journal", 100)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    journal.begin("s", SessionMeta(language="en"))
    journal.append("s", 0, np.zeros(400, np.float32))
    eventually_sync(lambda: journal.problem)
    (directory / "t.db").unlink()
    store.session_started("s", 0.0, "en", "peer")
    eventually_sync(lambda: store.problem)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print("journal:", journal.problem)
    print("store:", store.problem)
    journal.close()
    await store.close()

asyncio.run(main(Path(sys.argv[1])))
"""


@posix_only
def test_nobody_is_told_to_make_room_on_a_disk_that_has_room(tmp_path: Path) -> None:
    """Where it was file descriptors that ran out."""
    said = run(NONE_LEFT, str(tmp_path))
    for who in ("journal:", "store:"):
        sentence = said.partition(who)[2].partition("\n")[0]
        assert "ulimit -n" in sentence, said
        assert "room" not in sentence and "space" not in sentence
