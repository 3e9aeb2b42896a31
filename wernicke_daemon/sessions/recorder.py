"""What is kept and written down about sessions: results in the transcript store, audio in the journal, an `utterance`
line for each utterance in the log, and the figures.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
import structlog

from wernicke_daemon.observability import utterance_line
from wernicke_daemon.observability.figures import Figures
from wernicke_daemon.observability.log_throttle import Repeats
from wernicke_daemon.records.earlier import EarlierSession, Resume
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.store import ResultStore
from wernicke_daemon.sessions.clock import SYSTEM_CLOCK, Clock
from wernicke_daemon.sessions.people import People
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.utterances.context import Context
from wernicke_daemon.utterances.late import Late
from wernicke_daemon.utterances.results import Outcome
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.utterances.voiceprints import Voiceprint
from wernicke_daemon.utterances.voices import Known
from wernicke_daemon.wire.audio import Audio
from wernicke_daemon.wire.protocol import Error, Final, SpeakerUpdate, Suppressed

_log = structlog.get_logger()

IN_FULL = 5
"""Lines of one kind in a span (`log_throttle.SPAN_S`), of the kinds that need no more than to reach the port."""


@dataclass(frozen=True)
class Postponed:
    """An utterance that is to be done later, with what it needs of its session, which may be over by then."""

    session_id: str  # whose it is
    late: Late  # the utterance
    language: str  # as the client said, "auto" for any
    glossary: tuple[str, ...]  # words that it may contain
    words: bool  # whether its result has word times
    context: Context  # what was said before, and the session's voices


class Recorder:
    """A session's Records."""

    def __init__(
        self,
        stats: Figures,
        store: ResultStore,
        journal: Journal | None,
        log_text: bool,
        clock: Clock = SYSTEM_CLOCK,
        people: People | None = None,
    ) -> None:
        self._stats = stats  # what is counted
        self._store = store  # results on disk
        self._journal = journal  # received audio on disk; None where it is not kept
        self._log_text = log_text  # whether the log may say what was said
        self._clock = clock  # tells when things happened
        self._people = people  # who is known by voice; None where nobody is
        # Ids of sessions:
        self._peers: dict[str, str] = {}  # that brought no audio yet, with the address of their client
        self._journalled: set[str] = set()  # whose audio the journal takes
        self._not_ended: set[str] = set()  # that are over, but whose results may be in memory alone
        self._recovered: set[str] = set()  # that a killed daemon left, while they are finished
        self._untold: set[str] = set()  # whose start is not in the log, as too many began and none brought audio
        self._heard: dict[str, Known] = {}  # what the store knows of voices, by session
        self._left = set[str]()  # that have utterances which can't be done before the next start
        # what waits for the recogniser; `late_outcome` or `left` is called for each
        self.postponed: deque[Postponed] = deque()
        self.one_done = asyncio.Event()  # set whenever one of them needs no more
        self._late: Counter[str] = Counter()  # by session: how many of those have no result yet
        self._repeats = Repeats(IN_FULL, self._repeated)  # what strangers can cause at will: told a few times, counted

    def began(self, session: Session, peer: str) -> None:
        """A new one."""
        self._peers[session.id] = peer
        if self._people is not None:
            self._people.look()
        if self._repeats.add("session_started"):
            self._tell_start(session)
        else:
            self._untold.add(session.id)

    def taken_up(self, session: Session, wall_start: float) -> None:
        """Writes the session's row again: with a full disk it was only in the killed daemon's memory."""
        self._store.session_started(session.id, wall_start, session.options.language, "")
        self._recovered.add(session.id)

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
        resume = Resume(session.resume_token, session.continues)
        self._store.session_started(session.id, now, options.language, self._peers[session.id], resume)
        if self._journal is not None:
            self._journalled.add(session.id)
            self._journal.begin(session.id, options.to_journal(now))
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
        self._recovered.discard(session.id)
        self._heard.pop(session.id, None)
        if self._people is not None:
            self._people.over(session.id, session.context.voices.prints())

    def _end_stored(self, journal: Journal) -> None:
        done = {session_id for session_id in self._not_ended if not self.waits_for_recogniser(session_id)}
        if self._store.healthy:
            self._not_ended -= done
            for session_id in done - self._left:
                journal.end(session_id)

    def audio(self, session: Session, start: int, samples: Audio) -> None:
        if session.id in self._peers:
            self._open_records(session)
        if self._journal is not None and session.id in self._journalled:
            self._journal.append(session.id, start, samples)

    def final_before(self, session: Session, sample: int, next_sequence: int) -> None:
        if self._journal is not None and self._store.healthy:  # else results may be in memory alone
            self._journal.release(session.id, sample, next_sequence, session.context.remembered)
            self._end_stored(self._journal)

    def postpone(self, session: Session, late: Late, context: Context) -> bool:
        journalled = session.id in self._journalled | self._recovered
        if self._journal is None or not journalled or not self._journal.holds(session.id, late.boundary.start):
            return False
        self._journal.postpone(session.id, late)
        options = session.options
        self.later(Postponed(session.id, late, options.language, options.glossary, options.words, context))
        return True

    def later(self, postponed: Postponed) -> None:
        """It is in the journal, and is to be done once there is a recogniser."""
        self._late[postponed.session_id] += 1
        self.postponed.append(postponed)

    def waits_for_recogniser(self, session_id: str) -> bool:
        """Some of its utterances are to be done later."""
        return self._late[session_id] > 0

    def is_unfinished(self, session_id: str) -> bool:
        """Results of it may still come, also after it is over, in this run or the next one."""
        return self._journal is not None and self._journal.keeps(session_id)

    def is_left(self, session_id: str) -> bool:
        """Some of its utterances can't be done before the next start."""
        return session_id in self._left

    def left(self, postponed: Postponed) -> None:
        """It can't be done before the next start."""
        self._left.add(postponed.session_id)
        self._no_more(postponed.session_id)

    def late_outcome(self, postponed: Postponed, utterance: Utterance, message: Outcome) -> None:
        """What became of one that was done later."""
        stored = partial(self._late_stored, postponed, utterance, message)
        self._store.keep(postponed.session_id, utterance.sequence, message, stored)

    def _late_stored(self, postponed: Postponed, utterance: Utterance, message: Outcome) -> None:
        try:
            self._count_and_log(utterance, message, delivered=False)
        finally:
            if self._journal is not None and self._store.healthy:
                self._journal.done_late(postponed.session_id, postponed.late.sequence)
            self._no_more(postponed.session_id)

    def _no_more(self, session_id: str) -> None:
        self._late[session_id] -= 1
        self.one_done.set()
        if self._journal is not None:
            self._end_stored(self._journal)

    def outcome(self, session: Session, utterance: Utterance, message: Outcome) -> None:
        stored = partial(self._stored, session, utterance, message)
        self._remember(session)
        if self._people is not None and utterance.diarization is not None:
            self._people.compare(utterance.diarization.model)
        self._store.keep(session.id, utterance.sequence, message, stored)

    def _remember(self, session: Session) -> None:
        heard = session.context.voices.known()  # the same object as long as nothing changes
        if self._heard.get(session.id) is not heard:
            self._heard[session.id] = heard
            self._store.remember(session.id, heard)

    def named(self, session: Session, before: Collection[str]) -> None:
        """It is in the journal with the next `final_before`."""
        self._remember(session)
        if self._people is not None:
            self._people.named(session.id, before, session.context.voices.prints())

    def revised(self, session: Session, update: SpeakerUpdate) -> None:
        self._remember(session)
        self._store.revise(session.id, update, partial(session.told, update))

    def _stored(self, session: Session, utterance: Utterance, message: Outcome) -> None:
        try:
            self._count_and_log(utterance, message, delivered=session.attached)
        finally:  # a figure that can't be taken must not hold up a result
            session.kept(utterance, message)

    def earlier(self, session_id: str) -> EarlierSession | None:
        """What is known of one that is over; None without a store."""
        return self._store.earlier(session_id)

    def known(self) -> Sequence[Voiceprint]:
        """Of all who are known by voice."""
        return self._people.prints if self._people is not None else ()

    def dropped(self, seconds: float) -> None:
        self._stats.dropped_s += seconds

    def refused(self, message: Error) -> None:
        """A client that could not be served."""
        self._stats.errors[message.code] += 1
        if self._repeats.add(f"{message.code}: {message.message}"):
            _log.warning("refused", code=message.code, reason=message.message)

    def _repeated(self, more: dict[str, int]) -> None:
        _log.warning("repeated", more=more)

    def _count_and_log(self, utterance: Utterance, message: Outcome, delivered: bool) -> None:
        latency_ms = (self._clock.monotonic() - utterance.triggered) * 1000
        self._count(message)
        self._stats.undelivered += not delivered
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
