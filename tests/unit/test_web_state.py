"""What pages are shown of all sessions, put together from what the front tells."""

from typing import Any

import pytest

from wernicke_daemon.web.live.state import MOST_OVER, MOST_RESULTS, State


def shown(session: str = "s", **facts: Any) -> dict[str, Any]:
    usual = {"begun": "2026-01-01T12:00:00.000Z", "language": "ja", "attached": True, "over": False}
    return {"type": "session_shown", "session_id": session, **usual, "results": [], "open": [], **facts}


def watched(message: dict[str, Any], session: str | None = "s") -> dict[str, Any]:
    return {"type": "watched", "session_id": session, "message": message}


def partial(sequence: int, text: str, stage: str = "live") -> dict[str, Any]:
    return {"type": "partial", "sequence": sequence, "revision": 1, "stage": stage, "text": text, "segments": []}


def final(sequence: int, revision: int = 2, speaker: str = "Speaker_00") -> dict[str, Any]:
    segments = [{"text": f"{sequence}", "speaker": speaker}, {"text": "more", "speaker": speaker}]
    return {"type": "final", "sequence": sequence, "revision": revision, "segments": segments}


def update(sequence: int, revision: int, index: int, speaker: str) -> dict[str, Any]:
    segments = [{"index": index, "speaker": speaker}]
    return {"type": "speaker_update", "sequence": sequence, "revision": revision, "segments": segments}


@pytest.fixture
def state() -> State:
    state = State()
    state.take(shown())
    return state


def only(state: State) -> dict[str, Any]:
    [session] = state.shown()["sessions"]
    return dict(session)


def test_text_grows_until_it_is_final(state: State) -> None:
    """A partial that overtook its final, as after a lost line, does not come back."""
    for text in ("a", "ab"):
        state.take(watched(partial(1, text)))
    assert [each["text"] for each in only(state)["open"]] == ["ab"]
    state.take(watched(final(1)))
    state.take(watched(partial(1, "ab")))
    assert only(state)["open"] == [] and [each["sequence"] for each in only(state)["results"]] == [1]


def test_what_was_no_utterance_is_taken_back(state: State) -> None:
    """Nothing of it stays."""
    state.take(watched(partial(1, "a")))
    state.take(watched(partial(1, "", "withdrawn")))
    assert only(state)["open"] == []


def test_names_are_revised_once(state: State) -> None:
    """An update that the final has already, or that is older, changes nothing."""
    state.take(watched(final(1, revision=2)))
    state.take(watched(update(1, 4, 1, "B")))
    state.take(watched(update(1, 3, 1, "A")))
    state.take(watched(update(9, 3, 0, "A")))
    assert [each["speaker"] for each in only(state)["results"][0]["segments"]] == ["Speaker_00", "B"]


def test_a_session_shown_again_is_as_it_is_shown(state: State) -> None:
    """All there is comes anew after a lost line; what comes of it twice is in it once."""
    state.take(watched({"type": "gap", "from": 1.0, "to": 2.0, "reason": "X"}))
    gap = {"type": "gap", "from": 1.0, "to": 2.0, "reason": "X"}
    state.take(shown(results=[final(1), gap], open=[partial(2, "b")]))
    for message in (final(1), gap, partial(2, "b")):
        state.take(watched(message))
    assert len(only(state)["results"]) == 2 and len(only(state)["open"]) == 1


def test_memory_is_bounded(state: State) -> None:
    """Whatever is said, and however many sessions there were; those that are on stay."""
    for number in range(1, MOST_RESULTS + 11):
        state.take(watched(final(number)))
    assert len(only(state)["results"]) == MOST_RESULTS and only(state)["results"][0]["sequence"] == 11
    for number in range(2 * MOST_OVER):
        state.take(shown(f"over {number}", over=True))
    names = [each["session_id"] for each in state.shown()["sessions"]]
    assert names[0] == "s" and len(names) == 1 + MOST_OVER and names[-1] == f"over {2 * MOST_OVER - 1}"


def test_what_results_lack_is_told_until_it_is_back(state: State) -> None:
    """By stage and reason."""
    degraded = {"type": "degraded", "stage": "asr", "reason": "down", "since": "", "waiting": 1}
    state.take(watched(degraded, None))
    assert state.shown()["lacking"] == [degraded]
    state.take(watched({"type": "restored", "stage": "asr", "reason": "down"}, None))
    assert state.shown()["lacking"] == []


def test_what_is_said_of_a_session_that_is_not_known_is_passed_over(state: State) -> None:
    """It was deleted, or dropped."""
    state.take(watched(final(1), "other"))
    state.take({"type": "session_changed", "session_id": "other", "attached": True, "over": False})
    assert [each["session_id"] for each in state.shown()["sessions"]] == ["s"]


def test_a_deleted_session_is_shown_to_nobody_any_more() -> None:
    state = State()
    for session in ("s", "other"):
        state.take(shown(session, over=True))
    state.take({"type": "session_deleted", "session_id": "s"})
    state.take({"type": "session_deleted", "session_id": "unknown"})
    assert [session["session_id"] for session in state.shown()["sessions"]] == ["other"]
