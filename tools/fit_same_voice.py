"""Find `same_voice` of a model of the diarization without PyTorch, from recordings of which nothing else is known.

    python tools/fit_same_voice.py [--model small|large|DIR] RECORDING…

Two neighbouring pieces of one turn are one voice; two pieces that segmentation told apart are two. Prints how alike
both kinds are and what lies between them. The recordings want several people each, and some minutes together.
"""

import argparse
import sys
from itertools import combinations
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ipc.audio_handle import SAMPLE_RATE  # noqa: E402
from ipc.messages import Piece  # noqa: E402
from ipc.settings import DiarizationSettings, StageSettings  # noqa: E402
from stages.diarization.onnx import OnnxDiarization  # noqa: E402
from wernicke_daemon.formats import audio_files  # noqa: E402

WINDOW = 30 * SAMPLE_RATE
"""As long as an utterance can be."""
LEAST_S = 1.6
"""Of clean speech: an embedding of less is too scattered to fit anything by."""


def pairs(pieces: tuple[Piece, ...]) -> tuple[list[float], list[float]]:
    """Cosine similarities within turns, and between speakers, of one utterance."""
    same, different = [], []
    for one, other in combinations([piece for piece in pieces if piece.seconds >= LEAST_S and piece.embedding], 2):
        if one.speaker != other.speaker:
            different.append(float(np.dot(one.embedding, other.embedding)))
        elif one.end == other.start:
            same.append(float(np.dot(one.embedding, other.embedding)))
    return same, different


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--model", default="small")
    args = parser.parse_args()
    engine = OnnxDiarization("diarization", StageSettings(diarization=DiarizationSettings(onnx_model=args.model)))
    engine.load()
    same: list[float] = []
    different: list[float] = []
    for recording in args.recordings:
        audio = audio_files.samples(recording, SAMPLE_RATE)
        for start in range(0, len(audio), WINDOW):
            within, between = pairs(engine.diarize(audio[start : start + WINDOW].copy()).pieces)
            same, different = same + within, different + between
    if not same or not different:
        print("There are no such pairs: give recordings in which several people speak, for longer.", file=sys.stderr)
        return 1
    for what, found in (("one voice", same), ("two voices", different)):
        print(f"{what}: {len(found)} pairs, 5 %, 50 %, 95 %: {np.percentile(found, [5, 50, 95]).round(2).tolist()}")
    print(f"between: {(np.percentile(same, 5) + np.percentile(different, 95)) / 2:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
