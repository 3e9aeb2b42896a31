"""Speech to try the daemon with, and what is said in it."""

from pathlib import Path

CLIP = Path(__file__).with_name("clip.flac")
"""16 kHz mono; two voices, in English."""

REFERENCE = Path(__file__).with_name("reference.json")
"""Who says what, from when to when."""

JAPANESE_CLIP = Path(__file__).with_name("clip_ja.flac")
JAPANESE_REFERENCE = Path(__file__).with_name("reference_ja.json")
