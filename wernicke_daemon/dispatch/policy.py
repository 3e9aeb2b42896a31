"""How long things may take and how often they are tried: the settings of dispatching."""

from typing import Literal

import msgspec

from wernicke_daemon.config.schema import Config
from wernicke_daemon.utterances.replacing import Rules


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What ends in `_s` is in seconds."""

    diarization_s: float  # how long an utterance waits for its speakers after its text
    correction_s: float  # how long after its trigger it goes out uncorrected
    restart_grace_s: float  # how much of an outage of an optional stage counts against neither
    asr_down_limit_s: float  # how long a required stage may be down before nothing waits for it any more
    shed_after_s: float  # from when on results are behind (see `overload.py`)
    job_s: float  # how long a job may run, ...
    job_per_audio_s: float  # ... and how much longer for each second of its audio
    credit: int  # jobs that a replica is sent before it has answered the first
    max_attempts: int  # how often a job is begun before it is given up
    replacements: Rules = ()  # what is written for what is heard
    asr_context_chars: int = 0  # how much of the text before the recogniser is given
    early: bool = True  # whether work begins before an utterance's end
    live: bool = True  # whether there are live passes
    final: Literal["auto", "whole", "phrases"] = "auto"  # what an utterance's early text is made of
    early_window_s: float = 1.5  # from the pause at which early work begins to the end of the utterance

    @classmethod
    def of(cls, config: Config) -> "Policy":
        """As config.toml says."""
        runtime = config.runtime
        return cls(
            diarization_s=config.diarization.deadline_s,
            correction_s=config.correction.deadline_s,
            restart_grace_s=runtime.restart_grace_s,
            asr_down_limit_s=runtime.asr_down_limit_s,
            shed_after_s=runtime.shed_after_s,
            job_s=runtime.job_timeout_s,
            job_per_audio_s=runtime.job_timeout_per_audio_s,
            credit=runtime.credit,
            replacements=config.known_terms.rules,
            max_attempts=runtime.max_attempts,
            asr_context_chars=config.asr.context_chars,
            early=config.asr.early,
            live=config.asr.live,
            final=config.asr.final,
            early_window_s=max(0.0, config.vad.silence_s - config.vad.phrase_pause_s),
        )
