"""What the `utterance` line says of when stages were at work."""

from ipc.audio_handle import AudioHandle
from ipc.messages import Boundary
from wernicke_daemon.observability import utterance_line
from wernicke_daemon.utterances.pieces import Piece, StageTiming, together
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.wire.protocol import Suppressed


def test_when_stages_were_at_work() -> None:
    """From the end of the utterance, so that early work is before it; recognition piece by piece."""
    audio = AudioHandle("arena", 0, 1, 0, 16_000)
    pieces = tuple(Piece(audio, "firm", timing=StageTiming(5.0, 250.0, 1, at)) for at in (8.5, 10.5))
    utterance = Utterance(
        session="s",
        sequence=1,
        buffer_id="b",
        audio=audio,
        boundary=Boundary(0, 16_000, "silence", 16_000, 16_000),
        language="en",
        glossary=(),
        triggered=10.0,
        wall_start=0.0,
        pieces=pieces,
    )
    utterance.timings = {"asr": together(pieces), "diarization": StageTiming(0.0, 1500.0, 1, 9.75)}
    fields = utterance_line.fields(utterance, Suppressed(1, "b", "no speech"), 600.0, with_text=False)
    assert fields["worked_ms"] == {
        "asr": [(-1750.0, -1500.0), (250.0, 500.0)],
        "diarization": [(-1750.0, -250.0)],
    }
