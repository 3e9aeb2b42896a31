"""Who works on a session's utterances, for tests that do that work themselves."""

from collections.abc import Callable

from ipc.audio_handle import AudioHandle
from ipc.messages import Spans
from wernicke_daemon.dispatch.requests import Owner
from wernicke_daemon.utterances.pieces import Piece
from wernicke_daemon.utterances.utterance import Utterance


class OnlyFirmWork:
    """A Workbench that hands over each utterance when it has ended, and does nothing before."""

    takes_early_work = takes_live_work = False
    live_s = 0.0

    def __init__(self, submit: Callable[[Utterance, Owner], None]) -> None:
        self.submit = submit

    def in_time(self, audio_s: float) -> bool:
        raise AssertionError("there is no early work")

    def keeps(self, audio_s: float) -> bool:
        raise AssertionError("there is no early work")

    def begin_early(self, utterance: Utterance, owner: Owner) -> None:
        raise AssertionError("there is no early work")

    confirm = begin_early

    def withdraw(self, utterance: Utterance, kept: Piece | None = None) -> None:
        raise AssertionError("there is no early work")

    def listen(self, piece: Piece, utterance: Utterance, owner: Owner) -> None:
        raise AssertionError("there is no live work")

    def listen_to_more(self, piece: Piece, audio: AudioHandle, speech: Spans) -> None:
        raise AssertionError("there is no live work")

    def drop(self, piece: Piece) -> None:
        raise AssertionError("there is no live work")
