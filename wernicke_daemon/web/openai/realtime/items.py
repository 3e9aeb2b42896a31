"""What the front says, in items of a realtime client of OpenAI. Pure: messages in, events without `event_id` out.

An item is one utterance, or what was said up to a commit of the client. It is told twice: in deltas, which only ever
add to it and so hold what is stable, and completed, which is what counts. Items are committed and completed in order.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from wernicke_daemon.web.openai.answers import Letters, diarized_segments
from wernicke_daemon.web.openai.realtime import events
from wernicke_daemon.web.relay import Message


@dataclass
class Item:
    id: str
    first: int | None = None  # utterance, once there is one
    last: int = 0  # utterance that anything is known of
    upto: int | None = None  # the last utterance that is, or could be, in it; known some time after it is closed
    closed: bool = False  # nothing that is said from now on is in it
    dropped: bool = False  # nothing of it is told
    started: bool = False  # the client was told that somebody speaks
    end: float = 0.0  # seconds of received audio, up to which it is known
    texts: list[str] = field(default_factory=list)  # of its finals
    languages: list[str] = field(default_factory=list)  # of them
    seconds: float = 0.0  # that they last
    sent: str = ""  # in deltas
    failure: Message | None = None  # the last error of an utterance in it

    def has(self, sequence: int) -> bool:
        """Whether an utterance is in it that is in none before."""
        return self.upto is None or sequence <= self.upto


class Items:
    """Of one session. by_voice: each utterance is an item. speakers: segments are told, with who speaks."""

    def __init__(self, name: str, beta: bool) -> None:
        """name: ids begin with it."""
        self.by_voice = True
        self.speakers = False
        self._name = name
        self._beta = beta
        self._count = 0  # of items so far
        self._previous: str | None = None  # id of the last that was committed
        self._items: deque[Item] = deque()  # those that are not completed; only the last may be open
        self._flushing: deque[Item] = deque()  # closed by the client, whose last utterance is not known
        self._seen = 0  # the last utterance that anything is known of
        self._settled = 0  # the last utterance of which it is known what became of it
        self._letters = Letters()

    # --- of the client ---

    def commit(self) -> list[Message]:
        """What was said so far is an item. A flush is to be passed on with it."""
        item = self._close()
        return self._committed(item)

    def clear(self) -> None:
        """What was said so far is none. A flush is to be passed on with it."""
        self._close().dropped = True

    def _close(self) -> Item:
        item = self._open or self._new()
        item.closed = True
        self._flushing.append(item)
        return item

    # --- of the front ---

    def take(self, message: Message) -> list[Message]:
        match message["type"]:
            case "partial":
                return self._partial(message)
            case "final":
                return self._final(message)
            case "suppressed":
                return self._suppressed(message["sequence"])
            case "error" if message.get("sequence") is not None:
                return self._failed(message)
            case "flushed":
                return self._flushed(message["sequence"])
        return []

    def _partial(self, partial: Message) -> list[Message]:
        """Passed over where an utterance before it is not known yet."""
        sequence = partial["sequence"]
        if sequence > max(self._seen, self._settled) + 1 or partial["stage"] == "withdrawn":
            return []
        item, told = self._reached(sequence, partial["timestamp_range"])
        return told + self._grown(item, sequence, partial["text"][: partial["stable_chars"]])

    def _final(self, final: Message) -> list[Message]:
        item, told = self._reached(final["sequence"], final["timestamp_range"])
        told += self._over(item, final["sequence"])
        told += self._grown(item, final["sequence"], final["text"])
        if final["text"]:
            item.texts.append(final["text"])
        if final["language"] not in item.languages:
            item.languages.append(final["language"])
        item.seconds += final["duration"]
        if self.speakers and not item.dropped:
            told += [events.segment(item.id, each) for each in diarized_segments(final, self._letters)]
        return told + self._settle(final["sequence"])

    def _suppressed(self, sequence: int) -> list[Message]:
        item = self._item_of(sequence)
        told = self._over(item, sequence) if item is not None and item.first is not None else []
        return told + self._settle(sequence)

    def _failed(self, error: Message) -> list[Message]:
        sequence = error["sequence"]
        item = self._item_of(sequence) or self._new()
        item.failure = error
        return self._over(item, sequence) + self._settle(sequence)

    def _flushed(self, sequence: int) -> list[Message]:
        self._flushing.popleft().upto = sequence
        return self._completed()

    # --- items ---

    @property
    def _open(self) -> Item | None:
        return self._items[-1] if self._items and not self._items[-1].closed else None

    def _item_of(self, sequence: int) -> Item | None:
        """What came after a flush is only spoken of when that is through, so it is in none of those that wait for
        that."""
        return next((item for item in self._items if item.has(sequence)), None)

    def _new(self) -> Item:
        self._count += 1
        self._items.append(item := Item(f"{self._name}_{self._count:03}"))
        return item

    def _reached(self, sequence: int, heard: Message) -> tuple[Item, list[Message]]:
        """The item of an utterance that something is known of. heard: its `timestamp_range`."""
        self._seen = max(self._seen, sequence)
        item, told = self._item_of(sequence), list[Message]()
        if item is not None and item.first is not None and item.last < sequence:
            told = self._over(item, sequence - 1)  # the one before has ended, or this would not be another
            item = self._item_of(sequence)
        if item is None:
            item = self._new()
        if item.first is None:
            item.first = sequence
            if self.by_voice and not item.closed:
                item.started = True
                told.append(events.speech_started(item.id, heard["start"]))
        item.last, item.end = max(item.last, sequence), max(item.end, heard["end"])
        return item, told

    def _over(self, item: Item, sequence: int) -> list[Message]:
        """Nothing more is said in an utterance, which may end its item."""
        if not self.by_voice or item.closed:
            return []
        item.closed, item.upto = True, sequence
        stopped = [events.speech_stopped(item.id, item.end)] if item.started else []
        return stopped + self._committed(item)

    def _committed(self, item: Item) -> list[Message]:
        before, self._previous = self._previous, item.id
        kinds = ["created"] if self._beta else ["added", "done"]
        return [events.committed(item.id, before), *(events.item(kind, item.id, before) for kind in kinds)]

    def _grown(self, item: Item, sequence: int, text: str) -> list[Message]:
        """text: of an utterance in it, as far as it is stable. Nothing where one before it is not final, or where it
        does not go on as it was sent."""
        in_turn = sequence in (item.first, self._settled + 1)
        known = "\n".join([*item.texts, text])
        if item.dropped or not in_turn or not text or not known.startswith(item.sent) or known == item.sent:
            return []
        added, item.sent = known[len(item.sent) :], known
        return [events.delta(item.id, added)]

    def _settle(self, sequence: int) -> list[Message]:
        self._settled = sequence
        return self._completed()

    def _completed(self) -> list[Message]:
        told = list[Message]()
        while self._items and (upto := self._items[0].upto) is not None and upto <= self._settled:
            item = self._items.popleft()
            told += [] if item.dropped else _outcome(item)
        return told


def _outcome(item: Item) -> list[Message]:
    """Where one of several utterances failed, the others are told all the same."""
    done = events.completed(item.id, "\n".join(item.texts), math.ceil(item.seconds), item.languages)
    if item.failure is None:
        return [done]
    code, sentence = item.failure["code"], item.failure["message"]
    if not item.texts:
        return [events.failed(item.id, code, sentence)]
    return [events.error(sentence, code=code, ours=True), done]
