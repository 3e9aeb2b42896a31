"""What is out: jobs with their utterances, limits and deadlines, and what happens to them when a stage dies."""

from typing import cast

from ipc.audio_handle import AudioHandle
from ipc.messages import STAGES, Boundary, DiarizationWork, IngestTask, IngestWork, StageName
from wernicke_daemon.dispatch.entries import Entry, JobRow, Owner
from wernicke_daemon.dispatch.ledger import Ledger
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.utterances.utterance import Utterance

POLICY = Policy(
    diarization_s=10.0,
    correction_s=5.0,
    restart_grace_s=15.0,
    asr_down_limit_s=120.0,
    shed_after_s=100.0,
    job_s=100.0,
    job_per_audio_s=20.0,
    credit=1,
    max_attempts=2,
)
AUDIO = AudioHandle("arena", 0, 1, 0, 16_000)
WORK = DiarizationWork(AUDIO)
INGEST = IngestWork((IngestTask("s", AUDIO, b"", None, 0.0),))
OWNER = cast(Owner, object())  # of all utterances here; the ledger tells it nothing


def new() -> Ledger:
    """All stages up, at 0."""
    ledger = Ledger(POLICY, 0.0)
    for stage in STAGES:
        assert ledger.stage_up(stage, 0.0) == []
    return ledger


def begin(ledger: Ledger, sequence: int = 1, now: float = 0.0, session: str = "s") -> Entry:
    boundary = Boundary(0, 16_000, "silence", 16_000, 16_000)
    utterance = Utterance(session, sequence, f"buff_{sequence}", AUDIO, boundary, "en", (), now, 0.0)
    return ledger.begin(utterance, OWNER, now)


def ask(ledger: Ledger, entry: Entry, stage: StageName = "diarization", now: float = 0.0) -> JobRow:
    return ledger.add(stage, WORK, 1.0, now, entry)


def test_a_job_knows_its_utterance_and_its_limits() -> None:
    """Whose turn it takes, how long it may run and when it was asked for; and the utterance knows its job."""
    ledger = new()
    entry = begin(ledger, session="a")
    row = ledger.add("asr", WORK, 2.0, 7.0, entry)
    assert (row.stage, row.session, row.limit_s, row.created, row.entry, row.due) == (
        "asr",
        "a",
        140.0,
        7.0,
        entry,
        None,
    )
    assert entry.open_jobs == {"asr": row}
    assert ledger.take("asr") == [row]


def test_no_two_jobs_have_a_number_in_common() -> None:
    """Not even those of different stages: a job is known by its number in the log."""
    ledger = new()
    entry = begin(ledger)
    rows = [ask(ledger, entry, "asr"), ask(ledger, entry), ledger.add("ingest", INGEST, 1.0, 0.0)]
    assert len({row.job_id for row in rows}) == 3


def test_an_ingest_job_is_for_no_utterance() -> None:
    """It is added, answered and closed like any other."""
    ledger = new()
    row = ledger.add("ingest", INGEST, 1.0, 0.0)
    assert ledger.take("ingest") == [row]
    answered = ledger.answered("ingest", row.job_id)
    assert answered is row and row.entry is None
    ledger.close(row)
    assert ledger.depth("ingest") == 0


def test_a_job_is_open_until_it_is_closed() -> None:
    """An answer alone does not close it: it may have to be tried again."""
    ledger = new()
    entry = begin(ledger)
    row = ask(ledger, entry)
    for attempt in (1, 2):
        assert ledger.take("diarization") == [row]
        ledger.started("diarization", row.job_id)
        assert ledger.answered("diarization", row.job_id) is row
        assert (row.attempts, entry.open_jobs) == (attempt, {"diarization": row})
        assert ledger.retry(row) is (attempt < POLICY.max_attempts)
    ledger.close(row)
    assert entry.open_jobs == {}
    assert ledger.answered("diarization", row.job_id) is None


def test_an_utterance_takes_its_jobs_along_when_it_ends() -> None:
    """What waits is gone, what a stage has is named, so that the stage can be told; its answer is nobody's."""
    ledger = new()
    first, second = begin(ledger, 1), begin(ledger, 2)
    out = [ask(ledger, first, stage) for stage in ("asr", "diarization")]
    waiting = ask(ledger, second)
    assert [*ledger.take("asr"), *ledger.take("diarization")] == out
    assert ledger.end(second) == []
    assert ledger.end(first) == out
    assert (first.open_jobs, second.open_jobs, ledger.under_way) == ({}, {}, {})
    assert ledger.answered("diarization", out[1].job_id) is None
    assert ledger.take("diarization") == [], f"job {waiting.job_id} is withdrawn"
    assert ledger.depth("diarization") == 0


def test_a_withdrawn_job_is_open_no_more() -> None:
    """True where the stage has it."""
    ledger = new()
    entries = [begin(ledger, 1), begin(ledger, 2)]
    rows = [ask(ledger, entry) for entry in entries]
    ledger.take("diarization")
    assert [ledger.withdraw(row) for row in rows] == [True, False]
    assert [entry.open_jobs for entry in entries] == [{}, {}]


def test_giving_up_a_stage_names_all_its_jobs() -> None:
    """And those of no other stage. They are open until they are closed."""
    ledger = new()
    entries = [begin(ledger, 1), begin(ledger, 2)]
    rows = [ask(ledger, entry) for entry in entries]
    other = ask(ledger, entries[0], "asr")
    ledger.take("diarization")
    assert ledger.give_up("diarization") == rows
    assert ledger.depth("diarization") == 0
    assert ledger.take("asr") == [other]
    assert entries[1].open_jobs == {"diarization": rows[1]}


def test_what_a_stage_had_is_sent_again_when_it_is_gone() -> None:
    """Also where another process has taken its place before it was missed; after its last attempt it is given up."""
    ledger = new()
    row = ask(ledger, begin(ledger))
    assert ledger.take("diarization") == [row]
    ledger.started("diarization", row.job_id)
    assert ledger.stage_down("diarization", 1.0) == []
    assert ledger.stage_up("diarization", 2.0) == []
    assert ledger.take("diarization") == [row]
    ledger.started("diarization", row.job_id)
    assert ledger.stage_up("diarization", 3.0) == [row]
    assert ledger.take("diarization") == []


def test_a_job_is_late_from_its_deadline_on() -> None:
    """Until it is closed. One without a deadline never is."""
    ledger = new()
    entry = begin(ledger)
    row, _ = ask(ledger, entry), ask(ledger, entry, "asr")
    assert ledger.late(1e6) == []
    row.due = ledger.served(1e6) + 10.0
    assert ledger.late(1e6 + 9.5) == []
    assert ledger.late(1e6 + 10.0) == [row]
    ledger.close(row)
    assert ledger.late(1e6 + 10.0) == []


def test_deadlines_and_age_wait_for_a_stage_that_is_down() -> None:
    """As long as it takes for a required one, for the grace of an outage for another."""
    ledger = new()
    row = ask(ledger, begin(ledger))
    row.due = 10.0
    ledger.stage_down("asr", 5.0)
    assert (ledger.late(1000.0), ledger.behind_s(1000.0)) == ([], 5.0)
    ledger.stage_up("asr", 1000.0)
    ledger.stage_down("diarization", 1002.0)
    assert (ledger.late(1017.0), ledger.behind_s(1017.0)) == ([], 7.0)
    assert ledger.late(1020.0) == [row]


def test_how_far_results_are_behind_is_the_age_of_the_oldest() -> None:
    """Of those under way; nothing under way is not behind."""
    ledger = new()
    assert ledger.behind_s(50.0) == 0.0
    first, _ = begin(ledger, 1, 50.0), begin(ledger, 2, 60.0)
    assert ledger.behind_s(65.0) == 15.0
    ledger.end(first)
    assert ledger.behind_s(65.0) == 5.0
