"""Whatever is said in a session: names are voices, and stay so."""

from dataclasses import dataclass, field

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ipc.messages import Piece, Segment
from wernicke_daemon.utterances.revisions import Revisions
from wernicke_daemon.utterances.utterance import SpokenLine
from wernicke_daemon.utterances.voices import LEAST_S, Known, Voices
from wernicke_daemon.wire.protocol import Final, SegmentOut, SpeakerUpdate, TimestampRange

PEOPLE, DIMENSIONS = 6, 32
SPREAD = 0.04
"""Of each value of an embedding: of one person cosines are about 0.95 then, of two at most 0.4."""
REVISE_S = 60.0
UTTERANCE_S = 10.0


def embedding(person: int, seed: int) -> tuple[float, ...]:
    """People are orthogonal to each other, as far as there are dimensions."""
    scatter = np.random.default_rng(seed).normal(0, SPREAD, DIMENSIONS)
    return tuple((np.eye(DIMENSIONS)[person] + scatter).tolist())


@dataclass(frozen=True)
class Said:
    """seconds: of clean speech."""

    person: int
    seconds: float
    seed: int

    @property
    def sure(self) -> bool:
        return self.seconds >= 2.0


said = st.builds(Said, st.integers(0, PEOPLE - 1), st.sampled_from([0.2, 0.5, 1.0, 2.0, 4.0]), st.integers(0, 2**30))
utterances = st.lists(st.lists(said, max_size=5), min_size=1, max_size=15)
"""Empty ones: without diarization."""


def pieces(utterance: list[Said], hinted: bool | None) -> list[Piece]:
    """hinted: the engine tells people apart, else it takes all for one. None: it takes each stretch for another voice,
    rightly or not."""
    people = list(dict.fromkeys(one.person for one in utterance))
    speakers = range(len(utterance)) if hinted is None else [people.index(one.person) * hinted for one in utterance]
    return [
        Piece(float(at), at + 0.9, speaker, one.seconds, embedding(one.person, one.seed))
        for at, (one, speaker) in enumerate(zip(utterance, speakers, strict=True))
    ]


@dataclass
class Session:
    """As the front has it: each utterance is told with the names of then, and revised later."""

    voices: Voices = field(default_factory=Voices)
    revisions: Revisions = field(default_factory=Revisions)
    told: dict[int, list[str | None]] = field(default_factory=dict)
    updates: list[tuple[int, SpeakerUpdate]] = field(default_factory=list)

    def hear(self, sequence: int, found: list[Piece]) -> None:
        if found:
            rows = self.voices.hear(found, 0.7)
            names = self.voices.names(rows)
            lines = tuple(SpokenLine(Segment(p.start, p.end, "text", ()), (), at) for at, p in enumerate(found))
            self.revisions.add(final(sequence, names), lines, rows)
            self.told[sequence] = names
        self.revise(sequence, UTTERANCE_S * sequence - REVISE_S)

    def revise(self, sequence: int, since_s: float) -> None:
        for update in self.revisions.due(self.voices.names, since_s):
            self.updates.append((sequence, update))
            for segment in update.segments:
                assert self.told[update.sequence][segment.index] != segment.speaker
                self.told[update.sequence][segment.index] = segment.speaker

    def end(self, sequence: int) -> None:
        self.voices.settle()
        self.revise(sequence, -1.0)


def final(sequence: int, names: list[str | None]) -> Final:
    segments = [SegmentOut(0.0, 1.0, "text", name, False, None) for name in names]
    end = UTTERANCE_S * sequence
    return Final(
        "s",
        f"b{sequence}",
        sequence,
        2,
        "text",
        segments,
        TimestampRange(end - 5, end),
        "",
        "en",
        5.0,
        0.1,
        1,
        "flush",
        {},
        [],
    )


def play(spoken: list[list[Said]], hinted: bool | None) -> Session:
    session = Session()
    for sequence, utterance in enumerate(spoken, 1):
        session.hear(sequence, pieces(utterance, hinted))
    return session


@given(utterances, st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_name_is_one_voice(spoken: list[list[Said]], hinted: bool) -> None:
    """Of those who can be told apart, each has one name throughout, and no two have the same: as it stands at the end,
    and as anything was ever told."""
    session = play(spoken, hinted)
    ever: set[tuple[str, int]] = set()
    for sequence, names in session.told.items():
        ever |= {
            (n, one.person) for n, one in zip(names, spoken[sequence - 1], strict=True) if n is not None and one.sure
        }
    session.end(len(spoken))
    last = {
        (name, one.person)
        for sequence, names in session.told.items()
        for name, one in zip(names, spoken[sequence - 1], strict=True)
        if one.sure
    }
    for pairs in (ever, last):
        assert len(pairs) == len({name for name, _ in pairs}) == len({person for _, person in pairs})


@given(utterances, st.sampled_from([True, False, None]))
@settings(max_examples=25, deadline=None)
def test_who_was_told_apart_never_has_one_name(spoken: list[list[Said]], hinted: bool | None) -> None:
    """Within one utterance; whatever comes later."""
    session = play(spoken, hinted)
    session.end(len(spoken))
    for sequence, names in session.told.items():
        found = pieces(spoken[sequence - 1], hinted)
        counts = [(n, p.speaker) for n, p in zip(names, found, strict=True) if n is not None and p.seconds >= LEAST_S]
        for name in {name for name, _ in counts}:
            assert len({speaker for n, speaker in counts if n == name}) == 1


@given(utterances, st.booleans())
@settings(max_examples=25, deadline=None)
def test_revisions_are_bounded_and_in_order(spoken: list[list[Said]], hinted: bool) -> None:
    """None is older than it may be before the end; each has a revision of its own; no name is taken away."""
    session = play(spoken, hinted)
    before_end = len(session.updates)
    session.end(len(spoken))
    for now, update in session.updates[:before_end]:
        assert UTTERANCE_S * update.sequence > UTTERANCE_S * now - REVISE_S
    for sequence in session.told:
        revisions = [update.revision for _, update in session.updates if update.sequence == sequence]
        assert revisions == list(range(3, 3 + len(revisions)))
    assert all(segment.speaker is not None for _, update in session.updates for segment in update.segments)


@given(utterances, utterances, st.booleans())
@settings(max_examples=15, deadline=None)
def test_what_is_known_goes_on_elsewhere(before: list[list[Said]], after: list[list[Said]], hinted: bool) -> None:
    """After a kill: from JSON, with the same names for the same people, and new names for new ones."""
    session = play(before, hinted)
    saved = msgspec.json.encode(session.voices.known())
    again = Session(Voices(msgspec.json.decode(saved, type=Known)))
    for sequence, utterance in enumerate(after, len(before) + 1):
        for one in (session, again):
            one.hear(sequence, pieces(utterance, hinted))
        assert again.told.get(sequence) == session.told.get(sequence)
