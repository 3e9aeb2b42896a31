"""Killing a process that is ending already."""

import os
import subprocess
from unittest import mock

from wernicke_daemon.processes.child import Child


def test_one_that_is_stuck_in_a_driver_is_no_error() -> None:
    """Windows refuses to end a second time what has not ended yet (ERROR_ACCESS_DENIED): whoever stops goes on."""
    process = mock.Mock(spec=subprocess.Popen, pid=os.getpid())
    process.kill.side_effect = PermissionError(13, "Access is denied")
    Child(process).kill()
    assert process.kill.called
