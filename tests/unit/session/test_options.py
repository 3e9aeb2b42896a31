"""What a session's client asked for, once a daemon that died has left it to the next."""

from wernicke_daemon.sessions.options import Options
from wernicke_daemon.utterances.voices_clustering import Count
from wernicke_daemon.wire.audio import AudioFormat

ASKED = Options(
    AudioFormat(48_000, 2, "s16le"),
    "ja",
    glossary=("議事録",),
    events=frozenset({"partial"}),
    words=False,
    speakers=Count(2, 3),
    background=True,
)
DEFAULT = Options(AudioFormat(16_000, 1, "f32le"), "en")


def test_what_a_client_asked_for_outlives_the_daemon() -> None:
    """But for the format, as the journal has one of its own, and for what only a client that is there can be told."""
    left = Options.from_journal(ASKED.to_journal(1_700_000_000.0), DEFAULT)
    changed = {name for name in Options.__struct_fields__ if getattr(left, name) != getattr(ASKED, name)}
    assert changed == {"audio", "events"}
