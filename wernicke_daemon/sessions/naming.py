"""Who the voices of a session are: what its client says of them, and what later speech changes in earlier results."""

from collections.abc import Callable, Collection, Sequence

from wernicke_daemon.utterances.context import Context
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.wire.protocol import SpeakerUpdate


class Naming:
    """Of one session. Every revision is kept before it is told."""

    def __init__(
        self,
        context: Context,
        revise: Callable[[SpeakerUpdate], None],
        named: Callable[[Collection[str]], None],
        revise_s: float,
    ) -> None:
        """revise: keeps a revised result, and has `is_kept` called then. named: keeps who voices are; told all who had
        been named before. revise_s: see `diarization.revise_s`."""
        self._context = context  # the session's voices
        self._keep = revise
        self._named = named
        self._revise_s = revise_s  # how far back
        self._under_way = 0  # revisions that are not kept yet
        self._ended = False  # the last look was taken

    def renamed(self, before: Collection[str]) -> None:
        """Somebody has said who a voice is, of earlier results, too. before: all who had been named until then."""
        updates = self._context.renamed()
        self._named(before)
        self._revise(updates)

    def look_back(self, utterance: Utterance) -> None:
        """From an utterance that is told."""
        self._revise(self._context.revisions(utterance.end_s - self._revise_s))

    def is_over(self) -> bool:
        """After one last look at all of them, now that everything is heard, and once what it changed is kept."""
        if not self._ended:
            self._ended = True
            self._revise(self._context.last_revisions())
        return not self._under_way

    def is_kept(self) -> None:
        """One revision more."""
        self._under_way -= 1

    def _revise(self, updates: Sequence[SpeakerUpdate]) -> None:
        self._under_way += len(updates)
        for update in updates:
            self._keep(update)
