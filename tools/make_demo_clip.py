"""Make the bundled speech with flite: the demo's meeting of two voices, and the tests' two male voices.

    python tools/make_demo_clip.py                     # wernicke_daemon/demo/clip.flac and reference.json
    python tools/make_demo_clip.py --two-male-voices   # tests/data/two_male_voices.flac and .json

Same flite, same files: the noise has a fixed seed. The sentences are ones that a small recogniser knows well in
the voice that speaks them, so that the demo shows the daemon's work and not the recogniser's limits.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soxr
from numpy.typing import NDArray

Audio = NDArray[np.float32]

SAMPLE_RATE = 16_000
SPEECH_DB = -20.0
"""dBFS (RMS) of each utterance: a close microphone with room for peaks."""
NOISE_DB = -70.0
"""dBFS (RMS) of the noise under all of it: a quiet room; digital silence is not what microphones send."""
EDGE_DB = -40.0
"""Level re the utterance's loudest frame below which its beginning and end count as silence."""
FRAME = SAMPLE_RATE // 100
MARGIN_S = 0.5
"""Seconds of room before the first and after the last utterance."""
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Line:
    """One utterance. pause_s: seconds of room after it, before the next. name: of who says it; "" is the voice's."""

    voice: str
    text: str
    pause_s: float
    name: str = ""


MEETING = (
    Line("slt", "good morning everyone and thank you for coming to the meeting today", 2.5),
    Line(
        "rms",
        "in the first part of the year we worked on the design and now we have to decide how much money we want to"
        " spend how many people will work with us and when the first version will be ready for our customers",
        2.7,
    ),
    Line("slt", "can you tell us more about the results of the test", 2.4),
    Line("rms", "the results are better than we expected and our customers are very happy with the new design", 2.5),
    Line("rms", "the first version should be ready by the end of next month", 2.6),
    Line("slt", "that sounds like a good plan to me", 2.4),
    Line("rms", "let us meet again on monday morning", 0.0),
)

TWO_MALE_VOICES = (
    Line("rms", "what about the cost of the whole project", 0.5),
    Line("awb", "how long will it take to finish the work", 0.5),
    Line("rms", "we need to talk about the new product before the end of the week", 0.5),
    Line("awb", "good morning everyone and thank you for coming to the meeting today", 0.0),
)


def speak(line: Line, folder: Path) -> Audio:
    """The utterance in its voice, 16 kHz mono, without the silence that flite puts around it, at SPEECH_DB."""
    path = folder / "line.wav"
    subprocess.run(["flite", "-voice", line.voice, "-t", line.text, "-o", str(path)], check=True)
    return levelled(read_wav(path))


def levelled(samples: Audio, level_db: float = SPEECH_DB) -> Audio:
    """16 kHz mono, without the silence around it. level_db: dBFS (RMS) that it gets."""
    speech = trimmed(samples)
    gain = 10 ** (level_db / 20) / float(np.sqrt(np.mean(speech**2)))
    return (speech * gain).astype(np.float32)


def read_wav(path: Path) -> Audio:
    """A mono 16-bit WAV at any rate as 16 kHz float32 in [-1, 1]."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
        resampled: Audio = soxr.resample(samples, file.getframerate(), SAMPLE_RATE)
    return resampled


def trimmed(samples: Audio) -> Audio:
    """From the first to the last 10 ms frame that is louder than EDGE_DB below the loudest."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    level = np.sqrt(np.mean(frames**2, axis=1))
    loud = np.flatnonzero(level > level.max() * 10 ** (EDGE_DB / 20))
    return samples[loud[0] * FRAME : (loud[-1] + 1) * FRAME]


def spoken(lines: tuple[Line, ...]) -> list[Audio]:
    with tempfile.TemporaryDirectory() as folder:
        return [speak(line, Path(folder)) for line in lines]


def mixed(lines: tuple[Line, ...], sounds: list[Audio], noise_db: float) -> tuple[Audio, list[dict[str, object]]]:
    """All utterances on one track with room noise, and where each begins and ends (seconds). sounds: of the lines."""
    pieces, turns, at = [silence(MARGIN_S)], [], len(silence(MARGIN_S))
    for line, speech in zip(lines, sounds, strict=True):
        turns.append(turn(line, at, len(speech)))
        pieces += [speech, silence(line.pause_s)]
        at += len(speech) + len(silence(line.pause_s))
    track = np.concatenate([*pieces, silence(MARGIN_S)])
    noise = np.random.default_rng(0).standard_normal(len(track)) * 10 ** (noise_db / 20)
    return (track + noise).astype(np.float32), turns


def silence(seconds: float) -> Audio:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def turn(line: Line, start: int, count: int) -> dict[str, object]:
    return {
        "start": round(start / SAMPLE_RATE, 3),
        "end": round((start + count) / SAMPLE_RATE, 3),
        "speaker": line.name or line.voice,
        "text": line.text,
    }


def write_flac(path: Path, samples: Audio) -> None:
    """16 kHz mono, 16 bits. Raises ValueError rather than clip."""
    if np.abs(samples).max() >= 1:
        raise ValueError(f"{path.name} would clip; lower SPEECH_DB")
    frame = av.AudioFrame.from_ndarray(np.rint(samples * 32767).astype(np.int16)[None], format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    with av.open(str(path), "w") as file:
        stream = file.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def make(lines: tuple[Line, ...], sounds: list[Audio], clip: Path, reference: Path, noise_db: float = NOISE_DB) -> None:
    track, turns = mixed(lines, sounds, noise_db)
    clip.parent.mkdir(parents=True, exist_ok=True)
    write_flac(clip, track)
    content = {"duration": round(len(track) / SAMPLE_RATE, 3), "turns": turns}
    reference.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    print(f"{clip.relative_to(ROOT)}: {content['duration']} s, {clip.stat().st_size // 1024} KiB")


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the bundled speech with flite.")
    parser.add_argument("--two-male-voices", action="store_true", help="make the tests' clip, not the demo's")
    arguments = parser.parse_args()
    if shutil.which("flite") is None:
        print("flite was not found; install it (Debian, Ubuntu: apt install flite) and try again.", file=sys.stderr)
        return 1
    if arguments.two_male_voices:
        data = ROOT / "tests" / "data"
        make(TWO_MALE_VOICES, spoken(TWO_MALE_VOICES), data / "two_male_voices.flac", data / "two_male_voices.json")
    else:
        demo = ROOT / "wernicke_daemon" / "demo"
        make(MEETING, spoken(MEETING), demo / "clip.flac", demo / "reference.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
