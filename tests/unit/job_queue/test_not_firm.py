"""Early and live jobs."""

from ipc.messages import IngestWork, JobKind
from tests.unit.job_queue.rows import WORK, died, taken, with_one_replica
from wernicke_daemon.dispatch.turns import JobRow


def not_firm(job_id: int, kind: JobKind, session: str = "s") -> JobRow:
    return JobRow(job_id, session, WORK, 60.0, created=0.0, kind=kind)


def test_firm_goes_before_early_and_early_before_live() -> None:
    queue = with_one_replica(credit=1, max_attempts=2)
    for row in (not_firm(1, "live"), not_firm(2, "early"), not_firm(3, "firm")):
        queue.add(row)
    order = []
    while len(queue):
        [row] = taken(queue)
        order.append(row.job_id)
        queue.answered(0, row.job_id)
    assert order == [3, 2, 1]


def test_no_more_than_one_that_is_not_firm_stands_before_a_firm_one() -> None:
    """It is sent to an idle stage only, and nothing after it but what is firm."""
    queue = with_one_replica(credit=4, max_attempts=2)
    queue.add(not_firm(1, "early", "a"))
    queue.add(not_firm(2, "early", "b"))
    assert [row.job_id for row in taken(queue)] == [1]
    assert taken(queue) == []
    queue.add(not_firm(3, "firm", "c"))
    assert queue.firm_waits
    assert [row.job_id for row in taken(queue)] == [3]
    assert not queue.firm_waits


def test_what_becomes_firm_takes_its_turn_and_is_done_again() -> None:
    queue = with_one_replica(credit=1, max_attempts=2)
    queue.add(not_firm(1, "early", "a"))
    queue.add(not_firm(2, "early", "b"))
    queue.take(0.0)
    queue.make_firm(1)
    queue.make_firm(2)
    assert died(queue) == []
    assert [row.job_id for row in taken(queue)] == [1]
    queue.answered(0, 1)
    assert [row.job_id for row in taken(queue)] == [2]


def test_what_is_not_firm_is_given_up_with_its_stage_and_costs_the_others_nothing() -> None:
    queue = with_one_replica(credit=2, max_attempts=1)
    queue.add(not_firm(1, "live"))
    queue.take(0.0)
    queue.started(0, 1)
    queue.add(not_firm(2, "firm"))
    queue.take(0.0)
    assert [row.job_id for row in died(queue)] == [1]
    [again] = taken(queue)
    assert (again.job_id, again.attempts) == (2, 0)


def test_what_is_not_firm_is_not_tried_again() -> None:
    queue = with_one_replica(credit=1, max_attempts=2)
    queue.add(not_firm(1, "early"))
    queue.take(0.0)
    row = queue.answered(0, 1)
    assert row is not None and not queue.retry(row)


def test_what_waits_can_be_given_other_work() -> None:
    queue = with_one_replica(credit=1, max_attempts=2)
    other = IngestWork(())
    queue.add(not_firm(1, "live"))
    assert queue.replace(1, other, 5.0)
    [row] = taken(queue)
    assert (row.work, row.limit_s) == (other, 5.0)
    assert not queue.replace(1, WORK, 5.0)
