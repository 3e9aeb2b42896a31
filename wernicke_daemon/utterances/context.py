"""What a session's next utterances depend on besides their own audio; it survives the daemon in the journal."""

import msgspec

from wernicke_daemon.utterances.voices import Voice


class Remembered(msgspec.Struct, frozen=True):
    """voices: heard so far. said: the latest recognised texts, in order, as context for what follows."""

    voices: tuple[Voice, ...] = ()
    said: tuple[str, ...] = ()
