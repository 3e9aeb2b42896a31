"""A session's work on the utterance that is still being said: live passes, early work, and what becomes of it.

What to work on is decided in `utterances/early.py`, what is shown of it in `utterances/caption.py`; here both are put
to work. Nothing of it is needed for a result: where there is none, the utterance is begun when it has ended.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ipc.audio_handle import SAMPLE_RATE, AudioHandle
from ipc.messages import Boundary, OpenSpeech, Spans
from wernicke_daemon.dispatch.requests import Owner
from wernicke_daemon.utterances import results, sentences
from wernicke_daemon.utterances.early import FREEZE_LIVE, EarlyWork, LivePace, LivePasses, Stretch
from wernicke_daemon.utterances.joining import joined
from wernicke_daemon.utterances.pieces import Piece
from wernicke_daemon.utterances.utterance import Utterance

FARTHEST_BEHIND = SAMPLE_RATE
"""Samples that are received and not examined, from which audio comes faster than it is said, as of a file: what is open
now will have ended before early work on it is done."""


class Workbench(Protocol):
    """Who does the work: `dispatch/bench.py`, told what time it is."""

    @property
    def takes_early_work(self) -> bool: ...

    @property
    def takes_live_work(self) -> bool: ...

    @property
    def live_s(self) -> float:
        """Seconds of audio that a live pass may hold."""

    def in_time(self, audio_s: float) -> bool:
        """Whether so much audio may be recognised at a pause."""

    def keeps(self, audio_s: float) -> bool:
        """Whether so much audio is recognised once for good, rather than again with what follows it."""

    def submit(self, utterance: Utterance, owner: Owner) -> None: ...

    def begin_early(self, utterance: Utterance, owner: Owner) -> None: ...

    def confirm(self, utterance: Utterance, owner: Owner) -> None: ...

    def withdraw(self, utterance: Utterance, kept: Piece | None = None) -> None: ...

    def listen(self, piece: Piece, utterance: Utterance, owner: Owner) -> None: ...

    def listen_to_more(self, piece: Piece, audio: AudioHandle, speech: Spans) -> None: ...

    def drop(self, piece: Piece) -> None: ...


@dataclass
class Opened:
    """An utterance that is being said."""

    named: Utterance  # it, if nothing more were said; its sequence, buffer_id and caption are the final's
    early: EarlyWork  # what early work is to begin next
    passes: LivePasses  # when it may be heard again as it grows
    kept: list[Piece] = field(default_factory=list)  # recognised once for good, as `early.kept` says
    begun: Utterance | None = None  # what is worked on early
    last_begun: Utterance | None = None  # the same, of the pause before
    live: Piece | None = None  # the live pass that is under way


Make = Callable[[Boundary, tuple[Piece, ...], Utterance | None], Utterance]
"""A new utterance in that boundary, recognised in those pieces; the third is one whose place it takes."""


class Speculation:
    """Work on an utterance before it is certain that it has ended."""

    def __init__(self, bench: Workbench, owner: Owner, handle: Callable[[int, int], AudioHandle], make: Make) -> None:
        """handle: makes one of samples [start, end)."""
        # what is being said; None between utterances and where nothing of it is worked on
        self.opened: Opened | None = None
        self._bench = bench  # who does the work
        self._owner = owner  # told what comes of it
        self._handle = handle  # of samples [start, end)
        self._make = make  # numbers a new utterance
        self._pace = LivePace()  # when the next live pass may begin

    # --- as it is said ---

    def follow(
        self, speech: OpenSpeech | None, heard_to: int, written: int, shows: bool, now: float
    ) -> Utterance | None:
        """What ingest knows after it has examined all up to `heard_to`, of `written` samples. shows: somebody wants to
        see live text. Returns an utterance that turned out to be none, if it was named."""
        dropped = self._drop_other_than(speech, now)
        if speech is None:
            return dropped
        if self.opened is None and not self._open(speech):
            return dropped
        assert self.opened is not None
        self._resume(self.opened, speech)
        if written - heard_to <= FARTHEST_BEHIND:
            self._work_early(self.opened, speech)
            if shows:
                self._listen(self.opened, speech, heard_to, now)
        return dropped

    def _drop_other_than(self, speech: OpenSpeech | None, now: float) -> Utterance | None:
        opened = self.opened
        if opened is None or (speech is not None and speech.start == opened.early.start):
            return None
        self.opened = None
        self._stop_listening(opened, now)
        if opened.begun is not None:
            self._bench.withdraw(opened.begun)
        return opened.named

    def _open(self, speech: OpenSpeech) -> bool:
        if not (self._bench.takes_early_work or self._bench.takes_live_work):
            return False
        named = self._make(_as_boundary(speech), (), None)
        self.opened = Opened(named, EarlyWork(speech.start), LivePasses(speech.start))
        return True

    def _resume(self, opened: Opened, speech: OpenSpeech) -> None:
        resumed = opened.early.speech_goes_on(speech, self._keeps)
        if resumed is None:
            return
        begun, opened.begun = opened.begun, None
        opened.last_begun = begun or opened.last_begun
        if begun is not None:
            tail = begun.pieces[-1] if resumed.kept else None
            self._bench.withdraw(begun, tail)
            if tail is not None:
                opened.kept.append(tail)

    def _in_time(self, stretch: Stretch) -> bool:
        return self._bench.in_time((stretch.end - stretch.start) / SAMPLE_RATE)

    def _keeps(self, stretch: Stretch) -> bool:
        return self._bench.keeps((stretch.end - stretch.start) / SAMPLE_RATE)

    def _work_early(self, opened: Opened, speech: OpenSpeech) -> None:
        """What is cut for its length before silence can end it is not final in this range, so that only a phrase that
        is kept is worth the work."""
        allowed = self._in_time if speech.ends_at <= speech.full_at else self._keeps
        if not self._bench.takes_early_work or (stretch := opened.early.wanted(speech, allowed)) is None:
            return
        del opened.kept[len(opened.early.kept) :]  # a phrase too short to be recognised alone goes with the one before
        pieces = (*opened.kept, Piece(self._handle(*stretch), "early", speech.speech))
        opened.begun = self._make(_as_boundary(speech), pieces, opened.last_begun or opened.named)
        self._bench.begin_early(opened.begun, self._owner)

    def _listen(self, opened: Opened, speech: OpenSpeech, heard_to: int, now: float) -> None:
        stretch = opened.passes.wanted(speech, heard_to, round(self._bench.live_s * SAMPLE_RATE))
        if stretch is None:
            return
        if opened.live is not None:
            self._bench.listen_to_more(opened.live, self._handle(*stretch), speech.speech)
        elif self._pace.due(now) and self._bench.takes_live_work:
            opened.live = Piece(self._handle(*stretch), "live", speech.speech)
            self._pace.begin(now)
            self._bench.listen(opened.live, opened.named, self._owner)

    @property
    def named(self) -> Utterance | None:
        """What is being said, as it would be if nothing more were."""
        return self.opened.named if self.opened else None

    def heard(self, piece: Piece, now: float) -> Utterance | None:
        """A live pass is over. The utterance whose caption it has changed, None where it comes too late."""
        self._pace.end(now)
        opened = self.opened
        if opened is None or opened.live is not piece:
            return None
        opened.live = None
        audio = piece.audio
        if piece.result is None or audio.start < opened.passes.shown_to:
            return None
        caption = opened.named.caption
        if audio.start >= opened.passes.heard_to > opened.passes.shown_to:
            caption.freeze()  # this pass follows on the one before, instead of hearing it again
        caption.live_ms += piece.timing.run_ms if piece.timing else 0.0
        caption.language = piece.result.language
        text = joined((segment.text for segment in piece.result.segments), caption.language)
        caption.heard(text, audio.start / SAMPLE_RATE, audio.end / SAMPLE_RATE)
        opened.passes.heard(Stretch(audio.start, audio.end))
        if audio.seconds >= FREEZE_LIVE * self._bench.live_s:
            caption.freeze()
            opened.passes.shown_to = audio.end
        return opened.named

    def is_finished(self, speech: OpenSpeech | None) -> bool:
        """Whether what is being said is plainly a finished sentence, by two passes: the last live one before the pause
        and the recognition of all that was said."""
        begun = self.opened.begun if self.opened else None
        if speech is None or not speech.paused or begun is None or begun.asr is None:
            return False
        text = results.recognised_text(begun)
        return sentences.finished(text, begun.asr.language) and begun.caption.agrees(text)

    def shown_up_to(self, utterance: Utterance) -> None:
        """The text of an early utterance is shown: live passes begin after it."""
        if self.opened is not None and self.opened.begun is utterance:
            self.opened.passes.shown_to = utterance.audio.end

    # --- it has ended ---

    def end(self, boundary: Boundary, now: float) -> tuple[Utterance, bool]:
        """The utterance in that boundary, and whether it has been begun early in just that range: to be confirmed
        then, else submitted."""
        opened = self.opened
        if opened is None or opened.early.start != boundary.start:
            whole = Piece(self._handle(boundary.start, boundary.end), "firm", boundary.speech)
            return self._make(boundary, (whole,), None), False
        self.opened = None
        self._stop_listening(opened, now)
        begun = opened.begun
        if begun is not None and begun.audio.end == boundary.end:
            begun.boundary = boundary
            return begun, True
        if begun is not None:
            self._bench.withdraw(begun)
        named = begun or opened.last_begun or opened.named
        return self._make(boundary, self._pieces(opened, boundary), named), False

    def _pieces(self, opened: Opened, boundary: Boundary) -> tuple[Piece, ...]:
        """Phrases that were recognised for good, and the rest, if it holds speech."""
        kept = [piece for piece in opened.kept if piece.audio.end <= boundary.end]
        rest = opened.early.tail_start if len(kept) == len(opened.kept) else opened.kept[len(kept)].audio.start
        if kept and (boundary.last_speech_end <= kept[-1].audio.end or rest >= boundary.end):
            return tuple(kept)
        return (*kept, Piece(self._handle(rest, boundary.end), "firm", boundary.speech))

    def _stop_listening(self, opened: Opened, now: float) -> None:
        """A live pass that is under way would hold up the utterance's own recognition."""
        if opened.live is not None:
            self._bench.drop(opened.live)
            self._pace.end(now)


def _as_boundary(speech: OpenSpeech) -> Boundary:
    """As it would be if nothing more were said."""
    return Boundary(speech.start, speech.end, "silence", 0, speech.last_speech_end, speech.speech)
