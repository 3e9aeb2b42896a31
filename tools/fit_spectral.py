"""Compute stages/diarization/spectral_stats.json: what the `spectral` engine knows about voices in general.

    python tools/fit_spectral.py

Linear discriminant analysis of the features over synthetic voices: flite's four, each also played slower and faster
(a longer and a shorter vocal tract with a lower and a higher pitch, so three voices of one), through random
microphones (spectral tilt) and room noise, which count as variation *within* a voice and are therefore ignored by
the projection. Prints how well the voices come apart. Same flite, same file.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.linalg import eigh

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from make_demo_clip import SAMPLE_RATE, Audio, Line, speak  # noqa: E402

from stages.diarization.features import Vector, analysed, statistics  # noqa: E402

VOICES = ("slt", "rms", "awb", "kal")
SPEEDS = (0.85, 1.0, 1.18)
WINDOW_FRAMES = 60
"""Voiced frames per example: about what 1.5 s of speech holds at least."""
DIMENSIONS = len(VOICES) * len(SPEEDS) - 1
"""As many as discriminant analysis can find between so many voices."""
SHRINKAGE = 1.0
"""Share of the within-voice variances added to themselves: keeps directions that happen to be quiet in synthetic
speech from being trusted too much in real speech."""
TILT, SNR_DB = 0.35, (20.0, 50.0)
SENTENCES = (
    "the weather was warm and dry so we walked along the river until it was dark",
    "please put the blue box on the table and close the door behind you",
    "she bought two pounds of apples and a large loaf of bread at the market",
    "our train leaves at half past seven and arrives in the city before noon",
    "he could not remember where he had left the keys to the old house",
    "many small boats were waiting in the harbour for the storm to pass",
    "the children laughed as the dog jumped over the garden wall",
    "you should always check the oil before you drive a long way",
    "a strange noise came from the cellar and nobody wanted to look",
    "the museum opens every day except tuesday from ten until five",
    "they have lived in the same village for more than forty years",
    "fresh coffee and warm milk are what i like best in the morning",
    "the judge asked the witness to speak slowly and clearly",
    "three young engineers built a bridge out of wood and rope",
    "why does the moon look larger when it is close to the horizon",
    "my brother plays the violin and my sister sings in a choir",
    "the price of paper has gone up twice since the spring",
    "we saw a flock of wild geese flying north over the lake",
    "in winter the road across the mountains is often closed by snow",
    "he wrote a long letter to his aunt but never sent it",
    "could you show me how this machine works and what that switch is for",
    "the teacher gave every pupil a pencil and a sheet of white paper",
    "good food takes time and nobody should be in a hurry at dinner",
    "the old clock in the hall has stopped and needs a new spring",
)


def recordings(voice: str, speed: float, random: np.random.Generator) -> list[Audio]:
    """Every sentence in one voice, 16 kHz mono."""
    with tempfile.TemporaryDirectory() as folder:
        spoken = [speak(Line(voice, text, 0.0), Path(folder)) for text in SENTENCES]
    return [recorded(soxr.resample(speech, SAMPLE_RATE * speed, SAMPLE_RATE), random) for speech in spoken]


def recorded(speech: Audio, random: np.random.Generator) -> Audio:
    """The speech through some microphone in some room."""
    tilted = speech.copy()
    tilted[1:] += random.uniform(-TILT, TILT) * speech[:-1]
    noise_db = random.uniform(*SNR_DB)
    noise = random.standard_normal(len(speech)) * np.std(tilted) * 10 ** (-noise_db / 20)
    return (tilted + noise).astype(np.float32)


def examples(sentences: list[Audio], length: int | None) -> Vector:
    """[n, STATISTICS]: of stretches of so many voiced frames of each sentence, or of each as a whole."""
    rows: list[Vector] = []
    for frames in filter(None, map(analysed, sentences)):
        voiced = np.flatnonzero(frames.voiced)
        count = len(voiced) // (length or len(voiced))
        parts = voiced[: count * (length or len(voiced))].reshape(count, -1)
        rows += [statistics(frames, np.isin(np.arange(len(frames.voiced)), part)) for part in parts]
    return np.array(rows)


def discriminants(voices: list[Vector]) -> tuple[Vector, Vector]:
    """Mean [STATISTICS] and projection [STATISTICS, DIMENSIONS] that maximise the variance between voices over
    that within (Fisher; Fukunaga, Introduction to Statistical Pattern Recognition, chapter 10)."""
    means = np.array([rows.mean(axis=0) for rows in voices])
    within = np.mean([np.cov(rows.T) for rows in voices], axis=0)
    _, directions = eigh(np.cov(means.T), within + SHRINKAGE * np.diag(np.diag(within)))
    return means.mean(axis=0), directions[:, ::-1][:, :DIMENSIONS]


def similarities(voices: list[Vector], mean: Vector, projection: Vector) -> tuple[Vector, Vector]:
    """Cosine similarity of all pairs of examples of one voice, and of two."""
    points = np.concatenate([(rows - mean) @ projection for rows in voices])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    labels = np.repeat(np.arange(len(voices)), [len(rows) for rows in voices])
    upper = np.triu_indices(len(labels), 1)
    cosines, same = (points @ points.T)[upper], (labels[:, None] == labels)[upper]
    return cosines[same], cosines[~same]


def rounded(values: NDArray[np.float64]) -> list[object]:
    """Six significant digits: far finer than the spread of the data, and a small file."""
    return json.loads(json.dumps(values.tolist()), parse_float=lambda text: float(f"{float(text):.6g}"))  # type: ignore[no-any-return]


def main() -> int:
    if shutil.which("flite") is None:
        print("flite was not found; install it (Debian, Ubuntu: apt install flite) and try again.", file=sys.stderr)
        return 1
    random = np.random.default_rng(0)
    spoken = {(voice, speed): recordings(voice, speed, random) for voice in VOICES for speed in SPEEDS}
    mean, projection = discriminants([examples(sentences, WINDOW_FRAMES) for sentences in spoken.values()])
    for what, length in (("windows", WINDOW_FRAMES), ("sentences", None)):
        plain = [examples(spoken[voice, 1.0], length) for voice in VOICES]
        same, different = similarities(plain, mean, projection)
        low, high = np.percentile(same, 2), np.percentile(different, 98)
        print(
            f"{what}: of one voice 2 % are less alike than {low:.2f}, of two voices 2 % are more alike than {high:.2f}"
        )
    path = ROOT / "stages" / "diarization" / "spectral_stats.json"
    content = {"mean": rounded(mean), "projection": rounded(projection)}
    path.write_text(json.dumps(content) + "\n", encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
