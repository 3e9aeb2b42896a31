"""OpenAI's realtime protocol, whatever a client says, and in whichever order the front tells of what was said."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_openai_realtime import failed, final, flushed, items, partial, stream, suppressed
from wernicke_daemon.web import relay
from wernicke_daemon.web.relay import Message
from wernicke_daemon.wire import protocol

often = settings(max_examples=200, deadline=None)

NEWS = st.sampled_from(["speak", "newest", "oldest", "settle", "commit", "flushed", "switch"])
HAPPENINGS = st.lists(NEWS, min_size=10, max_size=60)
OUTCOMES = st.sampled_from([*["final"] * 10, "suppressed", "failed"])


class Front:
    """Tells of utterances as the front does: of what became of them in order, of their texts at any time before."""

    def __init__(self, outcome: Callable[[], str]) -> None:
        """outcome: of the next utterance."""
        self.told: list[Message] = []
        self.said: list[str] = []  # texts of finals
        self.all_said = True  # no utterance was without one
        self._items = items()
        self._outcome = outcome
        self._begun = 0
        self._settled = 0
        self._flushes = 0

    def happens(self, what: str) -> None:
        match what:
            case "speak":
                self._begun += 1
            case "newest" if self._settled < self._begun:
                self._grow(self._begun)
            case "oldest" if self._settled < self._begun:
                self._grow(self._settled + 1)
            case "settle" if self._settled < self._begun:
                self._settled += 1
                self._tell(self._became(self._outcome()))
            case "commit":
                self._flushes += 1
                self.told += self._items.commit()
            case "flushed" if self._flushes:
                self._flushes -= 1
                self._tell(flushed(self._begun))
            case "switch":
                self._items.by_voice = not self._items.by_voice

    def _grow(self, sequence: int) -> None:
        self._tell(partial(sequence, f"{sequence} said", 3))

    def _became(self, outcome: str) -> Message:
        if outcome == "final":
            self.said.append(f"{self._settled} said so")
            return final(self._settled, self.said[-1])
        self.all_said = False
        return suppressed(self._settled) if outcome == "suppressed" else failed(self._settled)

    def _tell(self, message: Message) -> None:
        self.told += self._items.take(message)

    def end(self) -> None:
        self.happens("commit")
        while self._settled < self._begun:
            self.happens("settle")
        while self._flushes:
            self.happens("flushed")

    def of(self, *kinds: str) -> list[Message]:
        return [event for event in self.told if event["type"].rpartition(".")[2] in kinds]


@often
@given(HAPPENINGS, st.data())
def test_each_item_is_committed_then_told_once_and_nothing_is_lost(happenings: list[str], data: Any) -> None:
    """In order; deltas add up to the text."""
    front = Front(lambda: data.draw(OUTCOMES))
    for happening in happenings:
        front.happens(happening)
    front.end()
    ids = [event["item_id"] for event in front.of("committed")]
    outcomes = front.of("completed", "failed")
    assert [event["item_id"] for event in outcomes] == ids and len(set(ids)) == len(ids)
    assert [event["previous_item_id"] for event in front.of("committed")] == [None, *ids][: len(ids)]
    for outcome in outcomes:
        [committed] = [event for event in front.of("committed") if event["item_id"] == outcome["item_id"]]
        assert front.told.index(committed) < front.told.index(outcome)
    texts = [event.get("transcript", "") for event in outcomes]
    assert [line for text in texts for line in text.split("\n") if line] == front.said
    if front.all_said:
        deltas = dict.fromkeys(ids, "")
        for event in front.of("delta"):
            deltas[event["item_id"]] += event["delta"]
        assert list(deltas.values()) == texts


NAMES = "type event_id session audio input format rate transcription language languages keywords prompt model"
BETA_NAMES = "turn_detection input_audio_format input_audio_transcription"
FIELDS = st.sampled_from(f"{NAMES} {BETA_NAMES}".split())
VALUES = st.sampled_from(["audio/pcm", "pcm16", "server_vad", "en", "transcription", "AAAA", 24_000, 2**70, 0.5, None])
JSON = st.recursive(
    VALUES | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=15,
)
KINDS = st.sampled_from(["session.update", "transcription_session.update", "response.create"]) | st.sampled_from(
    [f"input_audio_buffer.{kind}" for kind in ("append", "commit", "clear")]
)
SAID = st.dictionaries(FIELDS, JSON, max_size=5)
OPTIONS = SAID | SAID.map(lambda said: {"audio": {"input": said}})
TEXT = st.none() | st.text(max_size=4)
HINT = st.fixed_dictionaries(
    {},
    optional={"language": TEXT, "prompt": TEXT, "model": TEXT, "languages": st.lists(TEXT), "keywords": st.lists(TEXT)},
)
HINTS = HINT.map(lambda said: {"audio": {"input": {"transcription": said}}})
EVENTS = st.builds(lambda kind, session, said: {"type": kind, "session": session} | said, KINDS, OPTIONS | HINTS, SAID)


@often
@given(st.lists(EVENTS.map(json.dumps) | st.text(max_size=5) | st.binary(max_size=5), max_size=3))
def test_whatever_a_client_says_is_taken_or_refused(frames: list[str | bytes]) -> None:
    """The front understands what it gets of it."""
    talking = stream()
    for frame in frames:
        heard = talking.heard(frame)
        assert all(json.loads(relay.in_json(event))["event_id"] for event in heard.to_client)
        for data in heard.to_front:
            assert isinstance(data, bytes) or protocol.parse(data)
