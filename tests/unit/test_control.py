"""What a stage keeps of the orders that it was given."""

from ipc.messages import Cancel
from stages.process.control import MOST_CANCELLED, Control

MOST_CREDIT = 8


def test_cancels_that_come_too_late_do_not_pile_up(control: Control) -> None:
    """Those of jobs that it may still have inside are known, those of long ago are forgotten."""
    for job_id in range(MOST_CANCELLED + 1):
        control._obey(Cancel(job_id))
    inside = range(MOST_CANCELLED + 1 - MOST_CREDIT, MOST_CANCELLED + 1)
    assert all(control.was_cancelled(job_id) for job_id in inside)
    assert not control.was_cancelled(0)
    assert not control.was_cancelled(MOST_CANCELLED + 1)
