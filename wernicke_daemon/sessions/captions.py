"""What is shown of utterances before they are final: to their client, if it asked for it, and to those who watch."""

from collections.abc import Callable

from ipc.audio_handle import SAMPLE_RATE
from wernicke_daemon.sessions.clock import Clock
from wernicke_daemon.sessions.delivery import Delivery
from wernicke_daemon.sessions.watching import Watched
from wernicke_daemon.utterances import results
from wernicke_daemon.utterances.utterance import Utterance


class Captions:
    """Of one session."""

    def __init__(self, delivery: Delivery, watched: Watched, time_of_day: Callable[[int], float], clock: Clock) -> None:
        """time_of_day: at which a sample was heard, seconds since 1970."""
        self._delivery = delivery  # to the client
        self._watched = watched  # to those who watch
        self._time_of_day = time_of_day
        self._clock = clock
        self._utterances: dict[int, Utterance] = {}  # not final yet, by sequence

    @property
    def wanted(self) -> bool:
        """Somebody wants to see text before it is final."""
        return self._watched.wanted or (self._delivery.attached and "partial" in self._delivery.events)

    def add(self, utterance: Utterance) -> None:
        """In place of the one of that sequence, if there is one."""
        self._utterances[utterance.sequence] = utterance

    def remove(self, utterance: Utterance) -> None:
        del self._utterances[utterance.sequence]

    def show_due(self) -> None:
        """Of each utterance."""
        for utterance in self._utterances.values():
            self.show(utterance)

    def show(self, utterance: Utterance) -> None:
        """The newest state of its text, if it is time and there is one."""
        if self.wanted and (shown := utterance.caption.take(self._clock.monotonic())) is not None:
            heard_at = self._time_of_day(round(shown.end * SAMPLE_RATE))
            message = results.partial(utterance, shown, latency_s=self._clock.wall() - heard_at)
            self._delivery.tell("partial", message)
            self._watched.grown(message)

    def withdraw(self, utterance: Utterance) -> None:
        """Nothing was said after all."""
        utterance.caption.withdraw()
        self.show(utterance)
