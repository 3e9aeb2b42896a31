"""Where sessions bring their work: the dispatcher, told what time it is."""

from collections.abc import Callable

from ipc.audio_handle import AudioHandle
from ipc.messages import IngestResult, IngestWork, Spans, StageName
from wernicke_daemon.dispatch.dispatcher import Dispatcher
from wernicke_daemon.dispatch.requests import Owner
from wernicke_daemon.utterances.pieces import Piece
from wernicke_daemon.utterances.utterance import Utterance


class Bench:
    """clock: seconds of the front's monotonic clock. models: what runs in each stage."""

    def __init__(
        self, dispatcher: Dispatcher, clock: Callable[[], float], models: Callable[[], dict[StageName, str]]
    ) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._models = models

    def examine(self, work: IngestWork, answer: Callable[[IngestResult | None], None]) -> None:
        self._dispatcher.examine(work, answer, self._clock())

    @property
    def takes_early_work(self) -> bool:
        return self._dispatcher.takes_early_work

    @property
    def takes_live_work(self) -> bool:
        return self._dispatcher.takes_live_work

    @property
    def live_s(self) -> float:
        return self._dispatcher.pace.live_s

    def in_time(self, audio_s: float) -> bool:
        return self._dispatcher.pace.in_time(audio_s)

    def keeps(self, audio_s: float) -> bool:
        return self._dispatcher.pace.keeps(audio_s)

    def submit(self, utterance: Utterance, owner: Owner) -> None:
        utterance.models = self._models()
        self._dispatcher.submit(utterance, owner, self._clock())

    def begin_early(self, utterance: Utterance, owner: Owner) -> None:
        self._dispatcher.begin_early(utterance, owner, self._clock())

    def confirm(self, utterance: Utterance, owner: Owner) -> None:
        utterance.models = self._models()
        self._dispatcher.confirm(utterance, owner, self._clock())

    def withdraw(self, utterance: Utterance, kept: Piece | None = None) -> None:
        self._dispatcher.withdraw(utterance, kept)

    def listen(self, piece: Piece, utterance: Utterance, owner: Owner) -> None:
        self._dispatcher.listen(piece, utterance, owner, self._clock())

    def listen_to_more(self, piece: Piece, audio: AudioHandle, speech: Spans) -> None:
        self._dispatcher.listen_to_more(piece, audio, speech)

    def drop(self, piece: Piece) -> None:
        self._dispatcher.drop(piece)
