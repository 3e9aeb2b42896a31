"""Order, turns and credit of firm jobs, and what a death does to them."""

from tests.unit.job_queue.rows import MAX_ATTEMPTS, died, ids_of, row, taken, with_one_replica
from wernicke_daemon.dispatch.job_queue import JobQueue
from wernicke_daemon.dispatch.turns import JobRow


def queue_of(*rows: JobRow, credit: int = 1, max_attempts: int = MAX_ATTEMPTS) -> JobQueue:
    queue = with_one_replica(credit, max_attempts)
    for each in rows:
        queue.add(each)
    return queue


def take(queue: JobQueue, now: float = 0.0) -> list[int]:
    return [each.job_id for each in taken(queue, now)]


def serve_all(queue: JobQueue) -> list[int]:
    """Ids in the order in which a stage that never dies gets them."""
    order: list[int] = []
    while ids := take(queue):
        order += ids
        for job_id in ids:
            queue.answered(0, job_id)
    return order


def test_oldest_first_within_a_session() -> None:
    """Jobs of one session leave in the order in which they came."""
    assert serve_all(queue_of(row(1), row(2), row(3))) == [1, 2, 3]


def test_sessions_take_turns() -> None:
    """A session with much to do does not hold up one that has just come."""
    queue = queue_of(row(1, "a"), row(2, "a"), row(3, "a"), row(4, "b"), row(5, "c"))
    assert serve_all(queue) == [1, 4, 5, 2, 3]


def test_a_session_that_comes_back_queues_behind_those_who_wait() -> None:
    """A session whose jobs were all sent does not overtake others with its next one."""
    queue = queue_of(row(1, "a"), row(2, "b"), row(3, "c"))
    assert take(queue) == [1]
    queue.add(row(4, "a"))
    queue.answered(0, 1)
    assert serve_all(queue) == [2, 3, 4]


def test_no_more_than_credit_are_out() -> None:
    """Only `credit` jobs are sent at a time; each answer lets one more out."""
    queue = queue_of(row(1), row(2), row(3), row(4), credit=2)
    assert take(queue) == [1, 2]
    assert take(queue) == []
    queue.answered(0, 1)
    assert take(queue) == [3]


def test_sent_time_is_noted() -> None:
    """A row knows when it was sent."""
    queue = queue_of(row(1))
    assert taken(queue, 12.5)[0].sent == 12.5


def test_length_counts_what_is_not_answered() -> None:
    """Waiting, sent and returned jobs count; answered ones do not."""
    queue = queue_of(row(1), row(2), row(3), credit=2)
    take(queue)
    assert len(queue) == 3
    died(queue)
    assert len(queue) == 3
    assert take(queue) == [1, 2]
    queue.answered(0, 1)
    assert len(queue) == 2


def test_a_job_is_answered_once() -> None:
    """The second answer to a job, and one to a job that never was, close nothing."""
    queue = queue_of(row(1))
    take(queue)
    first = queue.answered(0, 1)
    assert first is not None and first.job_id == 1
    assert queue.answered(0, 1) is None
    assert queue.answered(0, 99) is None


def test_death_sends_again_before_everything_else() -> None:
    """What a dead stage held goes before younger jobs, oldest first."""
    queue = queue_of(*(row(number) for number in range(1, 6)), credit=2)
    assert take(queue) == [1, 2]
    assert died(queue) == []
    assert serve_all(queue) == [1, 2, 3, 4, 5]


def test_second_death_keeps_the_order() -> None:
    """A job returned twice still goes before those that were returned once."""
    queue = queue_of(row(1), row(2), row(3), credit=2, max_attempts=3)
    take(queue)
    queue.started(0, 1)
    died(queue)
    assert take(queue) == [1]
    died(queue)
    assert serve_all(queue) == [1, 2, 3]


def test_only_started_jobs_count_an_attempt() -> None:
    """The job behind the culprit is innocent, however often its stage dies."""
    culprit, innocent = row(1), row(2)
    queue = queue_of(culprit, innocent, credit=2)
    take(queue)
    queue.started(0, 1)
    died(queue)
    assert (culprit.attempts, innocent.attempts) == (1, 0)
    for _ in range(5):
        take(queue)
        assert died(queue) == []
    assert innocent.attempts == 0


def test_a_job_whose_stage_died_goes_alone() -> None:
    """Nothing else is out while a job is tried again, before and after it says that it started."""
    queue = queue_of(row(1), row(2), row(3), credit=2)
    take(queue)
    queue.started(0, 1)
    died(queue)
    assert take(queue) == [1]
    queue.started(0, 1)
    assert take(queue) == []
    queue.answered(0, 1)
    assert take(queue) == [2, 3]


def test_a_retry_waits_until_nothing_else_is_out() -> None:
    """An innocent older job goes first; the retry does not join it."""
    queue = queue_of(row(1, "a"), row(2, "b"), row(3, "c"), credit=2)
    take(queue)
    queue.started(0, 2)
    died(queue)
    assert take(queue) == [1]
    queue.answered(0, 1)
    assert take(queue) == [2]


def test_poison_is_given_up() -> None:
    """A job under which its stage died `max_attempts` times is returned and never sent again."""
    queue = queue_of(row(1), row(2))
    for _ in range(MAX_ATTEMPTS - 1):
        take(queue)
        queue.started(0, 1)
        assert died(queue) == []
    take(queue)
    queue.started(0, 1)
    assert ids_of(died(queue)) == [1]
    assert serve_all(queue) == [2]
    assert len(queue) == 0


def test_a_job_that_went_wrong_is_tried_again_alone() -> None:
    """An answer may be a failure: the same row goes out again, before younger ones and without company."""
    queue = queue_of(row(1), row(2), row(3), credit=2)
    take(queue)
    queue.started(0, 1)
    failed = queue.answered(0, 1)
    assert failed is not None and queue.retry(failed)
    assert take(queue) == [], "its neighbour is still out"
    queue.answered(0, 2)
    assert take(queue) == [1]
    assert take(queue) == [], "nothing joins it"
    queue.started(0, 1)
    assert queue.answered(0, 1) is failed
    assert take(queue) == [3]


def test_an_answer_that_overtakes_the_word_that_its_job_began_counts_once() -> None:
    """What is heard late is of the attempt that is over, not of the next one, which may not even have begun."""
    queue = queue_of(row(1))
    take(queue)
    failed = queue.answered(0, 1)
    assert failed is not None and failed.attempts == 1 and queue.retry(failed)
    assert take(queue) == [1]
    assert queue.started(0, 1) is None
    assert (failed.attempts, failed.running) == (1, False)
    assert died(queue) == [] and take(queue) == [1]
    assert queue.started(0, 1) is failed and failed.attempts == 2


def test_failures_and_deaths_are_attempts_alike() -> None:
    """A job that failed once and then took its stage down has had both its attempts; one that fails twice, too."""
    queue = queue_of(row(1), row(2))
    take(queue)
    queue.started(0, 1)
    failed = queue.answered(0, 1)
    assert failed is not None and queue.retry(failed)
    take(queue)
    queue.started(0, 1)
    assert ids_of(died(queue)) == [1]
    for expected in (True, False):
        take(queue)
        queue.started(0, 2)
        failed = queue.answered(0, 2)
        assert failed is not None and queue.retry(failed) is expected
    assert len(queue) == 0


def test_a_job_that_waits_to_be_tried_again_can_be_withdrawn() -> None:
    """Nobody needs it any more: it is not sent again."""
    queue = queue_of(row(1), row(2))
    take(queue)
    queue.started(0, 1)
    failed = queue.answered(0, 1)
    assert failed is not None and queue.retry(failed)
    assert queue.withdraw(1) is None
    assert serve_all(queue) == [2]


def test_a_waiting_job_is_withdrawn_for_good() -> None:
    """A job that was not sent yet is simply gone; the stage need not be told."""
    queue = queue_of(row(1), row(2), row(3, "b"))
    assert queue.withdraw(2) is None
    assert queue.withdraw(3) is None
    assert len(queue) == 1
    assert serve_all(queue) == [1]


def test_a_sent_job_is_withdrawn_but_keeps_its_credit() -> None:
    """The stage is to be told, and is busy with it until it answers; that answer closes nothing."""
    queue = queue_of(row(1), row(2))
    take(queue)
    assert queue.withdraw(1) == 0
    assert take(queue) == []
    assert queue.answered(0, 1) is None
    assert take(queue) == [2]


def test_a_withdrawn_job_does_not_come_back_with_the_next_stage() -> None:
    """Death ends a withdrawn job: it is neither sent again nor poison."""
    queue = queue_of(row(1), row(2), credit=2, max_attempts=1)
    take(queue)
    queue.started(0, 1)
    queue.withdraw(1)
    assert died(queue) == []
    assert take(queue) == [2]


def test_a_returned_job_can_be_withdrawn() -> None:
    """Also a job that waits to be sent again can be withdrawn."""
    queue = queue_of(row(1), row(2), credit=2)
    take(queue)
    died(queue)
    assert queue.withdraw(1) is None
    assert take(queue) == [2]


def test_withdrawing_the_unknown_is_nothing() -> None:
    """A job that was answered before can still be withdrawn without harm."""
    assert queue_of(row(1)).withdraw(99) is None


def test_drop_all_gives_up_every_job_that_somebody_needs() -> None:
    """Waiting, returned and sent jobs are handed back once; withdrawn ones are nobody's."""
    queue = queue_of(row(1), row(2), row(3, "b"), row(4, "b"), credit=2)
    assert take(queue) == [1, 3]
    died(queue)
    assert take(queue) == [1, 3]
    queue.withdraw(3)
    assert sorted(ids_of(queue.drop_all())) == [1, 2, 4]
    assert len(queue) == 0
    assert take(queue) == []
