"""What is kept and written down about sessions: results in the transcript store, audio in the journal, an `utterance`
line for each utterance in the log, and the figures.
"""

from functools import partial

import msgspec
import structlog

from wernicke_daemon.observability import utterance_line
from wernicke_daemon.observability.figures import Figures
from wernicke_daemon.observability.log_throttle import Repeats
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import SessionMeta
from wernicke_daemon.records.store import ResultStore
from wernicke_daemon.sessions.clock import SYSTEM_CLOCK, Clock
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.utterances.results import Outcome
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.wire.audio import Audio
from wernicke_daemon.wire.protocol import Error, Final, Suppressed

_log = structlog.get_logger()

IN_FULL = 5
"""Lines of one kind in a span (`log_throttle.SPAN_S`), of the kinds that need no more than to reach the port."""


class Recorder:
    """A session's Records. journal: None where audio is not kept. log_text: whether the log may say what was said."""

    def __init__(
        self, stats: Figures, store: ResultStore, journal: Journal | None, log_text: bool, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._stats = stats
        self._store = store
        self._journal = journal
        self._log_text = log_text
        self._clock = clock
        # Ids of sessions:
        self._peers: dict[str, str] = {}  # that brought no audio yet, with the address of their client
        self._journalled: set[str] = set()  # whose audio the journal takes
        self._not_ended: set[str] = set()  # that are over, but whose results may be in memory alone
        self._untold: set[str] = set()  # whose start is not in the log, as too many began and none brought audio
        self._repeats = Repeats(IN_FULL, self._repeated)  # what strangers can cause at will: told a few times, counted

    def began(self, session: Session, peer: str) -> None:
        """A new one."""
        self._peers[session.id] = peer
        if self._repeats.add("session_started"):
            self._tell_start(session)
        else:
            self._untold.add(session.id)

    def taken_up(self, session: Session, wall_start: float) -> None:
        """Writes the session's row again: with a full disk it was only in the killed daemon's memory."""
        self._store.session_started(session.id, wall_start, session.options.language, "")

    def _tell_start(self, session: Session) -> None:
        options = session.options
        _log.info(
            "session_started",
            session=session.id,
            peer=self._peers[session.id],
            audio=msgspec.to_builtins(options.audio),
            language=options.language,
            glossary_terms=len(options.glossary),
            events=sorted(options.events),
        )

    def _open_records(self, session: Session) -> None:
        """With its first audio, as until then its options may change. Now its start is in the log in any case."""
        options = session.options
        if session.id in self._untold:
            self._untold.remove(session.id)
            self._tell_start(session)
        now = self._clock.wall()
        self._store.session_started(session.id, now, options.language, self._peers[session.id])
        if self._journal is not None:
            self._journalled.add(session.id)
            meta = SessionMeta(options.language, options.glossary, now, options.words)
            self._journal.begin(session.id, meta)
        del self._peers[session.id]

    def waits(self, session: Session, seconds: float) -> None:
        """Its client is gone and may come back for so long."""
        if session.id not in self._untold and self._repeats.add("waiting_for_client"):
            _log.info("waiting_for_client", session=session.id, seconds=seconds)

    def over(self, session: Session) -> None:
        """A session that had to be abandoned keeps its journal: the next start finishes it. So does one whose results
        can't be stored, until they are."""
        account = {} if session.abandoned else session.account()
        self._stats.session_over(account)
        if session.id not in self._untold:
            _log.info("session_over", session=session.id, ended=session.ended, abandoned=session.abandoned, **account)
        self._untold.discard(session.id)
        if self._peers.pop(session.id, None) is None:
            self._store.session_ended(session.id, session.wall_end)
        if self._journal is not None and session.id in self._journalled:
            self._journalled.remove(session.id)
            self._journal.leave(session.id)
            if not session.abandoned:
                self._not_ended.add(session.id)
            self._end_stored(self._journal)

    def _end_stored(self, journal: Journal) -> None:
        while self._not_ended and self._store.healthy:
            journal.end(self._not_ended.pop())

    def audio(self, session: Session, start: int, samples: Audio) -> None:
        if session.id in self._peers:
            self._open_records(session)
        if self._journal is not None and session.id in self._journalled:
            self._journal.append(session.id, start, samples)

    def final_before(self, session: Session, sample: int, next_sequence: int) -> None:
        if self._journal is not None and self._store.healthy:  # else results may be in memory alone
            self._journal.release(session.id, sample, next_sequence, session.remembered)
            self._end_stored(self._journal)

    def outcome(self, session: Session, utterance: Utterance, message: Outcome) -> None:
        stored = partial(self._stored, session, utterance, message)
        self._store.keep(session.id, utterance.sequence, message, stored)

    def _stored(self, session: Session, utterance: Utterance, message: Outcome) -> None:
        try:
            self._count_and_log(session, utterance, message)
        finally:  # a figure that can't be taken must not hold up a result
            session.kept(utterance, message)

    def dropped(self, seconds: float) -> None:
        self._stats.dropped_s += seconds

    def refused(self, message: Error) -> None:
        """A client that could not be served."""
        self._stats.errors[message.code] += 1
        if self._repeats.add(f"{message.code}: {message.message}"):
            _log.warning("refused", code=message.code, reason=message.message)

    def _repeated(self, more: dict[str, int]) -> None:
        _log.warning("repeated", more=more)

    def _count_and_log(self, session: Session, utterance: Utterance, message: Outcome) -> None:
        latency_ms = (self._clock.monotonic() - utterance.triggered) * 1000
        self._count(message)
        self._stats.undelivered += not session.attached
        self._stats.utterance(utterance, latency_ms)
        _log.info("utterance", **utterance_line.fields(utterance, message, latency_ms, self._log_text))

    def _count(self, message: Outcome) -> None:
        match message:
            case Final():
                self._stats.transcriptions += 1
            case Suppressed():
                self._stats.suppressed += 1
            case Error(code=code):
                self._stats.errors[code] += 1
