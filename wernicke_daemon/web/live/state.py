"""What is known of all sessions, put together from what the front tells who watches. Pure.

So the front is asked once for everything, however many pages are open. A page gets what stands here, and then the same
messages that this is made of: `static/live/state.js` does with them what is done here.
"""

from collections import OrderedDict
from typing import Any

MOST_RESULTS = 1000
"""Of a session, as the front has them."""

MOST_OVER = 12
"""Sessions that are over and still shown."""

Message = dict[str, Any]


class Session:
    """One, as pages are shown it."""

    def __init__(self, shown: Message) -> None:
        """shown: a `session_shown`."""
        self.facts = {name: shown[name] for name in ("session_id", "begun", "language", "attached", "over")}
        self.results: OrderedDict[int, Message] = OrderedDict()  # by sequence
        self.gaps: list[Message] = []
        self.open: dict[int, Message] = {}  # the newest partial of what is not final
        for message in (*shown["results"], *shown["open"]):
            self.take(message)

    def take(self, message: Message) -> None:
        """A message of the session."""
        match message["type"]:
            case "partial":
                self._grown(message)
            case "final" | "error" | "suppressed" if message.get("sequence"):
                self._settled(message)
            case "speaker_update":
                self._renamed(message)
            case "gap":
                if message not in self.gaps:
                    self.gaps.append(message)

    def _grown(self, partial: Message) -> None:
        sequence = partial["sequence"]
        if partial["stage"] == "withdrawn":
            self.open.pop(sequence, None)
        elif sequence not in self.results:
            self.open[sequence] = partial

    def _settled(self, result: Message) -> None:
        sequence = result["sequence"]
        self.open.pop(sequence, None)
        known = self.results.get(sequence)
        if known is None or result.get("revision", 0) >= known.get("revision", 0):
            self.results[sequence] = result
        if len(self.results) > MOST_RESULTS:
            self.results.popitem(last=False)

    def _renamed(self, update: Message) -> None:
        final = self.results.get(update["sequence"])
        if final is None or final["type"] != "final" or final["revision"] >= update["revision"]:
            return
        final["revision"] = update["revision"]
        for segment in update["segments"]:
            final["segments"][segment["index"]]["speaker"] = segment["speaker"]

    def shown(self) -> Message:
        """A `session_shown` of now."""
        return {
            "type": "session_shown",
            **self.facts,
            "results": [*self.results.values(), *self.gaps],
            "open": list(self.open.values()),
        }


class State:
    """All of them, and what results lack."""

    def __init__(self) -> None:
        self.sessions: OrderedDict[str, Session] = OrderedDict()
        self.lacking: dict[tuple[str, str], Message] = {}  # `degraded`, by stage and reason

    def take(self, message: Message) -> None:
        """A message of `/watch`."""
        match message["type"]:
            case "session_shown":
                self.sessions[message["session_id"]] = Session(message)
                self._drop_oldest_over()
            case "session_changed" if (session := self.sessions.get(message["session_id"])) is not None:
                session.facts |= {"attached": message["attached"], "over": message["over"]}
            case "session_deleted":
                self.sessions.pop(message["session_id"], None)
            case "watched" if message["session_id"] is None:
                self._lacks(message["message"])
            case "watched" if (session := self.sessions.get(message["session_id"])) is not None:
                session.take(message["message"])

    def _lacks(self, message: Message) -> None:
        what = message["stage"], message["reason"]
        if message["type"] == "degraded":
            self.lacking[what] = message
        else:
            self.lacking.pop(what, None)

    def _drop_oldest_over(self) -> None:
        over = [name for name, session in self.sessions.items() if session.facts["over"]]
        for name in over[: max(0, len(over) - MOST_OVER)]:
            del self.sessions[name]

    def shown(self) -> Message:
        """All of it, for a page that comes."""
        return {
            "type": "snapshot",
            "sessions": [session.shown() for session in self.sessions.values()],
            "lacking": list(self.lacking.values()),
        }
