"""The voices of one session: all its speech clustered again with each utterance, under names that stay. Pure.

Policy:
- All stretches of speech of the session are clustered together (`voices_clustering`), by how alike they are without the
  scatter of little speech (`voices_rows`); two that the engine told apart within an utterance never are one voice. The
  threshold is the session's own where it tells one (`voices_pairs`).
- A cluster has the name that most of its speech had before (`voices_naming`); one without is a new voice, if there is
  NEW_VOICE_S of it. A name that lost its cluster is not given again.
- Less than LEAST_S of clean speech neither founds a voice nor moves one: it goes with the same local speaker's nearest
  stretch, else with the voice that it is most like, unless it is more likely another's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from ipc.messages import Piece
from wernicke_daemon.utterances.titles import Titles, label_of
from wernicke_daemon.utterances.voiceprints import Heard, Voiceprint, recognised
from wernicke_daemon.utterances.voices_clustering import NEVER, Count, Labels, clustered
from wernicke_daemon.utterances.voices_naming import assigned
from wernicke_daemon.utterances.voices_pairs import Pairs, heard, likeness
from wernicke_daemon.utterances.voices_rows import NOBODY, Rows, SavedRow, Vector, corrected

LEAST_S = 0.6
"""Seconds of clean speech from which a stretch counts: embeddings of less are too scattered."""
NEW_VOICE_S = 1.5
"""Seconds of clean speech that found a voice: of GE2E embeddings in a noisy room one in fifteen is taken wrongly at
0.6 s, one in fifty at 1.6 s (docs/quality.md)."""
EACH_HEARD_S = 60.0
"""Seconds of clean speech for each of the people who are said to be there, from which all of them are taken to have
spoken: before, one is not made two so that there are as many as that."""


class Known(msgspec.Struct, frozen=True):
    """What is known of a session's voices. next_voice: number of the next new one. model: that their embeddings are
    of. given, recognised: see `Titles`."""

    next_voice: int = 0
    model: str = ""
    rows: tuple[SavedRow, ...] = ()
    pairs: Pairs = Pairs()
    given: dict[str, str] = {}
    recognised: dict[str, str] = {}


NOTHING, ANY = Known(), Count()


class Voices:
    """Shared by sessions that go on one for another."""

    def __init__(self, known: Known = NOTHING, count: Count = ANY) -> None:
        """known: of the same session, as `known` gave it."""
        self.count = count  # how many there are, as far as the client knows
        self._known: Known | None = known  # as it is now; None where it has to be made anew
        self.titles = Titles(known.given, known.recognised)  # what they are called
        self._next = known.next_voice  # number of the next new voice
        self._model = known.model  # whose embeddings the rows are
        self._rows = Rows.loaded(known.rows)  # all that was heard
        self._pairs = known.pairs  # of which something is known without any threshold
        self._fitted = 1.0  # the engine's own threshold

    def known(self) -> Known:
        """All that was heard so far; the same object as long as nothing changes."""
        if self._known is None:
            titles = self.titles
            rows = self._rows.saved()
            self._known = Known(self._next, self._model, rows, self._pairs, {**titles.given}, {**titles.recognised})
        return self._known

    def copy(self) -> "Voices":
        """To try out what the next utterance would bring."""
        copy = Voices(Known(self._next, self._model, (), self._pairs), self.count)
        copy._rows, copy.titles = self._rows.copy(), self.titles
        return copy

    def hear(self, pieces: Sequence[Piece], same_voice: float, model: str = "") -> list[int | None]:
        """The pieces of the next utterance. Of each the row that it is part of, None where there is nothing to say
        whose it is; `names` tells the names, now and later.

        same_voice: the engine's own threshold. model: that made the embeddings; what was made by another is forgotten,
        but for the names."""
        usable = [corrected(piece.embedding, piece.seconds) for piece in pieces]
        self._begin(next((len(vector) for vector in usable if vector is not None), None), model)
        own = self._add(pieces, usable)
        self._fitted = same_voice
        if own:
            means = self._rows.means
            self._pairs = heard(self._pairs, [pieces[at] for at in own], means[-len(own) :], means[: -len(own)])
            self._cluster(sure=False)
        followed = self._follow(pieces, usable, own)
        self._rows.bound()
        return followed

    def settle(self) -> None:
        """Nothing more is said."""
        if self._rows.ids:
            self._known = None
            self._cluster(sure=True)

    def names(self, rows: Sequence[int | None]) -> list[str | None]:
        """Of the voices that they belong to now."""
        return [self._called(number) for number in self.numbers(rows)]

    def numbers(self, rows: Sequence[int | None]) -> list[int]:
        """Of the same voices; NOBODY for none."""
        voice_of = self._rows.lookup()
        return [voice_of(row) for row in rows]

    def _called(self, voice: int) -> str | None:
        return None if voice == NOBODY else self.titles.of(label_of(voice))

    # --- who they are ---

    def call(self, speaker: str, name: str) -> None:
        """Somebody says who a voice is. speaker: as results have it. Raises BadName."""
        self.titles.give(speaker, name, self._labels())
        self._known = None

    def replacing(self, speaker: str, name: str) -> tuple[str, str] | None:
        """What `call` would change, see `Titles.replacing`. Raises BadName."""
        return self.titles.replacing(speaker, name, self._labels())

    def _labels(self) -> list[str]:
        return [label_of(voice) for voice in range(self._next)]

    def recognise(self, known: Iterable[Voiceprint]) -> None:
        """Those of them who are known from before, and whom nobody has named."""
        unnamed = {each: heard for each, heard in self.heard().items() if not self.titles.knows(each)}
        strangers = [person for person in known if person.name not in self.titles.people]
        if unnamed and strangers:
            found = recognised(unnamed, strangers, self._model, likeness(self._pairs, self._fitted))
            self.titles.recognised |= found
            self._known = None if found else self._known

    def heard(self) -> dict[str, Heard]:
        """What each sounds like, by label."""
        voices, rows = self._rows.voices, self._rows
        return {label_of(voice): rows.heard(voices == voice) for voice in sorted(set(voices.tolist()) - {NOBODY})}

    def prints(self) -> list[Voiceprint]:
        """Of all whom somebody named here."""
        rows, voices = self._rows, self._rows.voices
        numbers = {
            name: [voice for voice in range(self._next) if self.titles.given.get(label_of(voice)) == name]
            for name in self.titles.named
        }
        own = {name: np.isin(voices, those) for name, those in numbers.items()}
        return [Voiceprint.of(name, self._model, *rows.heard(those)) for name, those in own.items() if those.any()]

    # --- what is heard ---

    def _begin(self, dimensions: int | None, model: str) -> None:
        """Embeddings of another model say nothing of those that are known."""
        if dimensions is None or (dimensions == self._rows.means.shape[1] and model == self._model):
            return
        self._rows, self._pairs, self._model = Rows.none(dimensions, self._rows.next_id), Pairs(), model

    def _add(self, pieces: Sequence[Piece], usable: Sequence[Vector | None]) -> dict[int, int]:
        """The pieces that count, each with its row."""
        counting = [at for at, vector in enumerate(usable) if vector is not None and pieces[at].seconds >= LEAST_S]
        if not counting:
            return {}
        speakers = np.array([pieces[at].speaker for at in counting])
        ids = self._rows.add(
            np.array([usable[at] for at in counting], np.float32),
            np.array([pieces[at].seconds for at in counting], np.float32),
            speakers[:, None] != speakers,
        )
        self._known = None
        return dict(zip(counting, ids, strict=True))

    def _cluster(self, sure: bool) -> None:
        """sure: everybody has spoken."""
        rows = self._rows
        sure = sure or rows.seconds.sum() >= self.count.least * EACH_HEARD_S
        count = self.count if sure else replace(self.count, least=1)
        expected = likeness(self._pairs, self._fitted)
        labels = clustered(rows.pairs(), rows.seconds, rows.squares, rows.apart, expected, count)
        self._name(labels)

    def _name(self, labels: Labels) -> None:
        """Give each cluster the voice that most of it was, or a new one."""
        rows = self._rows
        voices = sorted(set(rows.voices.tolist()) - {NOBODY})
        clusters = [labels == label for label in range(labels.max() + 1)]
        shared = [[float(rows.seconds[own & (rows.voices == voice)].sum()) for voice in voices] for own in clusters]
        for own, kept in zip(clusters, assigned(shared), strict=True):
            rows.voices[own] = voices[kept] if kept is not None else self._new(float(rows.seconds[own].sum()))

    def _new(self, seconds: float) -> int:
        if seconds < NEW_VOICE_S:
            return NOBODY
        self._next += 1
        return self._next - 1

    def _follow(
        self, pieces: Sequence[Piece], usable: Sequence[Vector | None], own: dict[int, int]
    ) -> list[int | None]:
        """The row of each piece: its own, or that which it goes with as it is too little to count."""
        followed: list[int | None] = [own.get(at) for at in range(len(pieces))]
        for at, piece in enumerate(pieces):
            if followed[at] is None:
                others = [n for n, row in enumerate(followed) if row is not None]
                same = [n for n in others if pieces[n].speaker == piece.speaker]
                if same:
                    followed[at] = followed[min(same, key=lambda n: _distance(piece, pieces[n]))]
                else:
                    followed[at] = self._nearest(usable[at], [followed[n] for n in others])
        return followed

    def _nearest(self, vector: Vector | None, others: Sequence[int | None]) -> int | None:
        """The row of the voice that is most like it, but for those of its utterance's other speakers; None where all
        are more likely another voice."""
        rows = self._rows
        if vector is None or not rows.ids:
            return None
        taken = np.isin(rows.voices, [NOBODY, *self.numbers(others)])
        alike = np.where(taken, NEVER, rows.means @ vector)
        nearest = int(alike.argmax())
        return rows.ids[nearest] if alike[nearest] >= likeness(self._pairs, self._fitted).doubtful else None


def _distance(piece: Piece, other: Piece) -> float:
    return max(other.start - piece.end, piece.start - other.end)
