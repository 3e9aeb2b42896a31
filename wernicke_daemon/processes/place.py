"""Where a replica of a stage runs, and who knows what became of its jobs when a process of it died."""

from collections.abc import Callable
from typing import NamedTuple

from wernicke_daemon.processes.peer import Peers
from wernicke_daemon.processes.stage_setup import StageSetup


class Place(NamedTuple):
    """Where a replica runs."""

    setup: StageSetup
    peers: Peers  # starts its processes
    job_at_death: Callable[[], int | None]  # the job that its process which died last was at; None where not known
    progress: Callable[[], int]  # parts of jobs that it has done so far
