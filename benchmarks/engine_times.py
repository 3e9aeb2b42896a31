"""How long engines take that only take time, and what of that a final may be late by."""

import argparse
from dataclasses import asdict, dataclass

from benchmarks.served import Plan, plan
from ipc.settings import VadSettings
from wernicke_daemon.config.schema import Config

ADDED_S = 0.1
"""What everything around the engines may add where they do not get done within the silence."""


@dataclass(frozen=True)
class Times:
    """Milliseconds for an utterance; asr_per_audio_s: more for each second of its audio."""

    asr: float
    asr_per_audio_s: float
    diarization: float
    correction: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)

    def recognition_s(self, audio_s: float) -> float:
        return (self.asr + self.asr_per_audio_s * audio_s) / 1000

    def work_s(self, audio_s: float) -> float:
        """One stage after the other."""
        return self.recognition_s(audio_s) + (self.diarization + self.correction) / 1000

    def critical_s(self, audio_s: float) -> float:
        """Recognition and diarization side by side."""
        return max(self.recognition_s(audio_s), self.diarization / 1000) + self.correction / 1000

    def allowed_s(self, audio_s: float, vad: VadSettings) -> float:
        """By which a final may be later than the trigger, where work begins at the pause."""
        return max(0.0, vad.phrase_pause_s + self.critical_s(audio_s) - vad.silence_s) + ADDED_S


def plan_of(config: Config, times: Times) -> Plan:
    """A daemon with such engines."""
    stages = {"asr": times.asr, "diarization": times.diarization, "correction": times.correction}
    return plan(config, stages, {"asr": times.asr_per_audio_s})


def add_options(options: argparse.ArgumentParser, times: Times) -> None:
    for name, value in times.as_dict().items():
        flag = f"--{name.replace('_', '-')}" + ("-ms" if not name.endswith("_s") else "")
        options.add_argument(flag, dest=f"times_{name}", type=float, default=value, metavar="MS", help="of an engine")


def chosen(args: argparse.Namespace) -> Times:
    return Times(args.times_asr, args.times_asr_per_audio_s, args.times_diarization, args.times_correction)
