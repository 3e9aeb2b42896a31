"""What the recorder tells journal and store of a session, where the store fails meanwhile."""

from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest

from ipc.messages import DiarizationResult
from wernicke_daemon.observability.figures import Figures
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.no_store import NoStore
from wernicke_daemon.sessions.options import Options
from wernicke_daemon.sessions.people import People
from wernicke_daemon.sessions.recorder import Recorder
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.utterances.context import Context, Remembered
from wernicke_daemon.wire.protocol import Suppressed


class FailingStore(NoStore):
    healthy = False


@pytest.fixture
def journal() -> Any:
    return mock.create_autospec(Journal, instance=True)


def spoke(recorder: Recorder, name: str, *, abandoned: bool = False) -> Any:
    """A session that brought audio and is over."""
    options = mock.create_autospec(Options, instance=True)
    session: Any = SimpleNamespace(
        id=name,
        options=options,
        abandoned=abandoned,
        ended="stop",
        wall_end=0.0,
        account=dict,
        resume_token="",
        continues=None,
        context=Context(Remembered(), 1, 0),
    )
    recorder._peers[name] = "a peer"
    recorder.audio(session, 0, np.zeros(10, np.float32))
    recorder.over(session)
    return session


def ended(journal: mock.Mock) -> list[str]:
    return [call.args[0] for call in journal.end.call_args_list]


def test_audio_goes_once_its_results_are_stored(journal: mock.Mock) -> None:
    """Not when the session is over, as they are in memory alone while the store fails; nor only at the next start, as
    the journal is bounded. What was abandoned stays."""
    store = FailingStore()
    recorder = Recorder(Figures(), store, journal, log_text=False)
    spoke(recorder, "early")
    spoke(recorder, "abandoned", abandoned=True)
    assert [call.args[0] for call in journal.leave.call_args_list] == ["early", "abandoned"]
    assert ended(journal) == []
    store.healthy = True
    spoke(recorder, "late")
    assert sorted(ended(journal)) == ["early", "late"]


def test_it_goes_with_any_news_too(journal: mock.Mock) -> None:
    """Where one session goes on for hours after an outage."""
    store = FailingStore()
    recorder = Recorder(Figures(), store, journal, log_text=False)
    session = spoke(recorder, "early")
    recorder.final_before(session, 10, 1)
    assert ended(journal) == []
    store.healthy = True
    recorder.final_before(session, 10, 1)
    assert ended(journal) == ["early"]


def test_a_result_goes_back_to_its_session_though_it_cannot_be_counted(journal: mock.Mock) -> None:
    """A figure that can't be taken must not hold up a result."""
    stats = Figures()
    stats.utterance = mock.Mock(side_effect=RuntimeError("no figure"))  # type: ignore[method-assign]
    context = Context(Remembered(), 1, 0)
    session: Any = mock.create_autospec(Session, instance=True, id="s", attached=True, context=context)
    utterance: Any = SimpleNamespace(sequence=1, triggered=0.0)
    message = Suppressed(1, "b", "nothing")
    with pytest.raises(RuntimeError, match="no figure"):
        Recorder(stats, NoStore(), journal, log_text=False).outcome(session, utterance, message)
    session.kept.assert_called_once_with(utterance, message)


def test_kept_voices_are_held_against_the_model_that_hears(journal: mock.Mock) -> None:
    """Where anybody was heard."""
    people = mock.create_autospec(People, instance=True)
    session: Any = mock.create_autospec(Session, instance=True, id="s", context=Context(Remembered(), 1, 0))
    recorder = Recorder(Figures(), mock.create_autospec(NoStore, instance=True), journal, False, people=people)
    for number, diarization in enumerate((None, DiarizationResult((), (), 0.8, "ge2e"))):
        utterance: Any = SimpleNamespace(sequence=number, diarization=diarization)
        recorder.outcome(session, utterance, Suppressed(number, "b", "nothing"))
    people.compare.assert_called_once_with("ge2e")


def test_what_is_taken_up_again_keeps_its_time(journal: mock.Mock) -> None:
    """Its row may have been in memory alone."""
    store = mock.create_autospec(NoStore, instance=True)
    session: Any = SimpleNamespace(id="s", options=SimpleNamespace(language="ja"), context=Context(Remembered(), 1, 0))
    Recorder(Figures(), store, journal, log_text=False).taken_up(session, 1_700_000_000.0)
    store.session_started.assert_called_once_with("s", 1_700_000_000.0, "ja", "")
