"""How long things may take and how often they are tried: the settings of dispatching."""

import msgspec


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """diarization_s: how long an utterance waits for its speakers after its text.
    correction_s: how long after its trigger it goes out uncorrected.
    restart_grace_s: how much of an outage of an optional stage counts against neither.
    asr_down_limit_s: how long a required stage may be down before nothing waits for it any more.
    shed_after_s: from when on results are behind (see `overload.py`).
    job_s, job_per_audio_s: how long a job may run, and how much longer for each second of its audio.
    credit: jobs that a stage is sent before it has answered the first.
    max_attempts: how often a job is begun before it is given up.
    asr_context_chars: how much of the text before the recogniser is given.
    What ends in `_s` is in seconds."""

    diarization_s: float
    correction_s: float
    restart_grace_s: float
    asr_down_limit_s: float
    shed_after_s: float
    job_s: float
    job_per_audio_s: float
    credit: int
    max_attempts: int
    asr_context_chars: int = 0
