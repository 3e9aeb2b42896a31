"""The sections of config.toml that stages read. Ranges are checked when config.toml is read; a stage trusts them.

Defaults are those of `config.toml`; a test holds the two together.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0, le=3600)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Text = Annotated[str, Meta(min_length=1)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of a config.toml section."""


class VadSettings(Section, frozen=True):
    """engine: "silero" or "energy". threshold_db: dBFS (RMS re full scale) below which a 32 ms window is silence for
    both engines, once quiet speech is brought up. speech_probability: Silero's probability from which a window is
    speech; speech that has begun goes on down to 0.15 less. silence_s: seconds without speech that end an utterance.
    max_utterance_s: the longest utterance, rolls included. cut_search_s: how far back from there the least
    speech-like place is sought. pre_roll_s, post_roll_s: audio kept before the first and after the last speech.
    min_speech_s: less speech than this is no utterance. phrase_pause_s: pause that ends a phrase, at which its
    recognition begins (the post-roll, where that is longer). min_silence_s: silence that ends an utterance whose text
    is plainly a finished sentence; 0 leaves it to silence_s."""

    engine: Literal["silero", "energy"] = "silero"
    threshold_db: Annotated[float, Meta(ge=-120, le=0)] = -85.0
    speech_probability: Fraction = 0.5
    silence_s: Annotated[float, Meta(ge=0.2, le=10)] = 2.0
    max_utterance_s: Annotated[float, Meta(ge=5, le=30)] = 30.0
    cut_search_s: Annotated[float, Meta(ge=0.5, le=10)] = 5.0
    pre_roll_s: Annotated[float, Meta(ge=0, le=2)] = 0.3
    post_roll_s: Annotated[float, Meta(ge=0, le=2)] = 0.3
    min_speech_s: Annotated[float, Meta(ge=0, le=2)] = 0.1
    phrase_pause_s: Annotated[float, Meta(ge=0.1, le=5)] = 0.5
    min_silence_s: Annotated[float, Meta(ge=0, le=10)] = 0.0
    tick_ms: Annotated[int, Meta(ge=10, le=1000)] = 50


Device = Literal["auto", "cuda", "cpu"]


class AsrSettings(Section, frozen=True):
    """engine: "auto" takes the best that is usable. model: a Whisper size, hub id or local directory.
    language: ISO 639-1 code or "auto". compute_type: of CTranslate2, the best one wanted. temperatures: of decoding,
    the next one where the text is improbable or repeats itself by the thresholds: log_prob_threshold (mean log
    probability of its tokens) and compression_ratio_threshold (of gzip). no_speech_threshold: probability from which
    an improbable text is taken for silence. context_chars: how much of the text before the model is given; 0 is
    none. live: whether the open phrase is recognised while it is said. early: whether work on an utterance begins at
    each pause, before it is certain that it has ended. final: of early work, what an utterance's text is made of: the
    "whole" of it at once, "phrases" recognised once each, or "auto", the whole as long as that is ready in time."""

    engine: Literal["auto", "faster_whisper", "pocketsphinx"] = "auto"
    model: Text = "large-v3"
    language: Annotated[str, Meta(pattern=r"^(auto|[a-z]{2,3})\Z")] = "ja"
    device: Device = "auto"
    compute_type: Text = "float16"
    beam_size: Annotated[int, Meta(ge=1, le=20)] = 5
    temperatures: Annotated[tuple[Fraction, ...], Meta(min_length=1)] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    no_speech_threshold: Fraction = 0.6
    log_prob_threshold: Annotated[float, Meta(le=0)] = -1.0
    compression_ratio_threshold: Annotated[float, Meta(gt=1)] = 2.4
    context_chars: Annotated[int, Meta(ge=0, le=200)] = 0
    cpu_threads: Annotated[int, Meta(ge=0)] = 0
    live: bool = True
    early: bool = True
    final: Literal["auto", "whole", "phrases"] = "auto"


class AlignmentSettings(Section, frozen=True):
    """engine: "whisperx" times words with a wav2vec2 model, "whisper" keeps the recogniser's own times, "auto" is the
    first where it is usable. model: "auto" for the one that is known for the language, else a hub id or directory."""

    engine: Literal["auto", "whisperx", "whisper"] = "auto"
    model: Text = "auto"
    device: Device = "auto"


class DiarizationSettings(Section, frozen=True):
    """model: of pyannote, a hub id or directory. min_speakers, max_speakers: in one utterance. embedding_batch_size:
    of pyannote, what memory depends on. same_voice: cosine similarity from which pyannote's voices of two utterances
    are one. deadline_s: how long a result waits for its speakers after the text is there."""

    engine: Literal["auto", "pyannote", "spectral", "none"] = "auto"
    model: Text = "pyannote/speaker-diarization-community-1"
    device: Device = "auto"
    min_speakers: Annotated[int, Meta(ge=1, le=20)] = 1
    max_speakers: Annotated[int, Meta(ge=1, le=20)] = 8
    embedding_batch_size: Annotated[int, Meta(ge=1, le=64)] = 8
    same_voice: Fraction = 0.5
    deadline_s: Seconds = 10.0


class CorrectionSettings(Section, frozen=True):
    """prompts: directory with prompt files that replace those of the package, "" for none. deadline_s: seconds after
    the trigger at which the recognised text goes out uncorrected. segments_per_request: texts sent to the LLM at once.
    context_lines: earlier utterances sent along."""

    engine: Literal["auto", "ollama", "none"] = "auto"
    prompts: str = ""
    deadline_s: Seconds = 5.0
    segments_per_request: Annotated[int, Meta(ge=1, le=20)] = 5
    context_lines: Annotated[int, Meta(ge=0, le=50)] = 3


class LlmSettings(Section, frozen=True):
    """timeout_s: of one request. load_timeout_s: of the warm-up, which may load the model from disk."""

    host: Annotated[str, Meta(pattern=r"^https?://")] = "http://localhost:11434"
    model: Text = "qwen2.5:14b-instruct-q4_0"
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.1
    timeout_s: Seconds = 60.0
    load_timeout_s: Seconds = 600.0
    num_ctx: Annotated[int, Meta(ge=512)] = 4096


FaultKind = Literal[
    "crash",
    "hang",
    "hang_gil",
    "slow",
    "turn",
    "out_of_memory",
    "raise",
    "wrong",
    "fail_load",
    "crash_load",
    "turn_load",
]


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong in a stage, on purpose and repeatably: for fault tests only.

    At the jobs named by `jobs` (ids) or whose audio begins at one of `starts` (samples); at every job where both are
    empty. times: how many incarnations of the stage it happens to, counted by epoch from 1; 0 is all of them.
    seconds: how long `slow` takes, how much CPU `turn` and `turn_load` use (0: they turn for ever).
    """

    kind: FaultKind
    jobs: tuple[int, ...] = ()
    starts: tuple[int, ...] = ()
    times: int = 0
    seconds: float = 0.0


class StageSettings(msgspec.Struct, frozen=True):
    """What a stage is told at start.

    release_after_utterance: whether cached GPU memory is given back after each job. scratch: the directory for what
    libraries write; empty leaves it to them.
    sleep_ms: for each stage, how long the `sleep` engine of benchmarks and fault tests takes; where a stage is
    named here it runs that engine instead of the configured one. sleep_ms_per_audio_s: what each second of audio adds
    to that. faults: by stage. None of these three is reachable from config.toml.
    """

    vad: VadSettings = VadSettings()
    asr: AsrSettings = AsrSettings()
    alignment: AlignmentSettings = AlignmentSettings()
    diarization: DiarizationSettings = DiarizationSettings()
    correction: CorrectionSettings = CorrectionSettings()
    llm: LlmSettings = LlmSettings()
    release_after_utterance: bool = True
    scratch: str = ""
    sleep_ms: dict[str, float] = {}
    sleep_ms_per_audio_s: dict[str, float] = {}
    faults: dict[str, tuple[Fault, ...]] = {}
