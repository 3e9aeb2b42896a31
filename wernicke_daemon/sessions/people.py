"""Who is known by voice, for all sessions: the kept voiceprints, and what sessions add to them.

A thread of its own reads and writes their file (`records/voices_file.py`), so that a slow disk holds up nobody. What it
can't do is logged; sessions go on with what is known.
"""

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import structlog

from ipc.errors import WernickeError
from wernicke_daemon.records.voices_file import NoVoice, VoicesFile
from wernicke_daemon.utterances.voiceprints import Voiceprint

_log = structlog.get_logger()


class People:
    """prints: of all who are known, as the file had them last."""

    def __init__(self, file: VoicesFile, remember: bool) -> None:
        """remember: whether voices that clients name are kept."""
        self.prints: tuple[Voiceprint, ...] = ()
        self._file = file
        self._remember = remember
        self._begun: defaultdict[str, set[str]] = defaultdict(set)  # by session, who is remembered since then
        self._told = set[tuple[str, str]]()  # who can't be recognised (name, model in use), as far as the log has it
        self._thread = ThreadPoolExecutor(1, "voices")  # one after another

    def look(self) -> None:
        """Take notice of what others did with the file: `wernicke enroll` and `wernicke voices delete`."""
        self._do(self._read)

    def compare(self, model: str) -> None:
        """Voices are heard with this embedding model: says once who can't be recognised, being known by others only."""
        comparable = {voice.name for voice in self.prints if voice.model == model}
        others = [voice for voice in self.prints if voice.name not in comparable]
        told, self._told = self._told, self._told | {(voice.name, model) for voice in others}
        if self._told != told:
            models = sorted({voice.model for voice in others})
            _log.warning("voices_not_compared", voices=len({voice.name for voice in others}), model=model, of=models)

    def named(self, session_id: str, before: Iterable[str], now: Iterable[Voiceprint]) -> None:
        """A client has named voices. before: the names that voices of the session had. now: those they have."""
        if self._remember:
            self._do(lambda: self._begin(session_id, set(before), list(now)))

    def over(self, session_id: str, named: Iterable[Voiceprint]) -> None:
        """What was heard in a session of those who have a name in it: their prints follow, where they are kept."""
        if self._remember and (prints := list(named)):
            self._do(lambda: self._follow(prints))
        self._do(lambda: self._begun.pop(session_id, None))

    def close(self) -> None:
        """Once all is written. Blocks."""
        self._thread.shutdown()

    def _do(self, work: Callable[[], object]) -> None:
        self._thread.submit(self._safely, work)

    def _safely(self, work: Callable[[], object]) -> None:
        try:
            work()
        except WernickeError as error:
            _log.error("voices_failed", reason=str(error))
        except Exception:  # whatever it is: nobody waits for the outcome, so nobody else would tell it
            _log.exception("voices_failed")

    # --- in the thread ---

    def _read(self) -> None:
        self.prints = tuple(self._file.prints())

    def _begin(self, session_id: str, before: set[str], now: list[Voiceprint]) -> None:
        """Who was remembered under a name that turned out to be another's is not."""
        begun = self._begun[session_id]
        for name in (before & begun) - {voice.name for voice in now}:
            begun.discard(name)
            with contextlib.suppress(NoVoice):  # somebody was quicker
                self._file.delete(name)
        for voice in now:
            if self._file.begin(voice, time.time()):
                begun.add(voice.name)
        self._read()

    def _follow(self, prints: list[Voiceprint]) -> None:
        for voice in prints:
            self._file.follow(voice, time.time())
        self._read()
