"""How long a stop may take beyond `runtime.drain_timeout_s`, by its time limits."""

from wernicke_daemon.gateway import server
from wernicke_daemon.processes import ending

PROMISED_S = 2.0
ROOM_S = 0.5
"""For what has no limit because it takes milliseconds: ZeroMQ, shared memory, the disk, the interpreter's end."""


def test_the_time_limits_of_a_stop_leave_room_in_what_is_promised() -> None:
    """Clients and stages have theirs at the same time (`tests/process/test_faults.py` shows it)."""
    clients_s = server.GOODBYE_S + server.CUT_S
    stages_s = ending.STOP_PATIENCE_S + ending.KILL_S
    assert max(clients_s, stages_s) + ROOM_S <= PROMISED_S
