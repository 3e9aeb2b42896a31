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

MOST_REPLICAS = 64
"""Of a stage: shared memory has room for the marks of so many."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of a config.toml section."""


class VadSettings(Section, frozen=True):
    """How speech is told from silence, and where utterances end. Windows are of 32 ms."""

    engine: Literal["silero", "energy"] = "silero"  # what tells speech from silence
    # dBFS (RMS re full scale) below which a window is silence, for both engines, once quiet speech is brought up
    threshold_db: Annotated[float, Meta(ge=-120, le=0)] = -85.0
    # Silero's, from which a window is speech; what has begun goes on down to 0.15 less
    speech_probability: Fraction = 0.5
    silence_s: Annotated[float, Meta(ge=0.2, le=10)] = 2.0  # without speech, which ends an utterance
    max_utterance_s: Annotated[float, Meta(ge=5, le=30)] = 30.0  # the longest utterance, rolls included
    # how far back from there the least speech-like place is sought
    cut_search_s: Annotated[float, Meta(ge=0.5, le=10)] = 5.0
    pre_roll_s: Annotated[float, Meta(ge=0, le=2)] = 0.3  # audio kept before the first speech
    post_roll_s: Annotated[float, Meta(ge=0, le=2)] = 0.3  # audio kept after the last speech
    min_speech_s: Annotated[float, Meta(ge=0, le=2)] = 0.1  # less speech than this is no utterance
    # ends a phrase, whose recognition then begins (the post-roll, where that is longer)
    phrase_pause_s: Annotated[float, Meta(ge=0.1, le=5)] = 0.5
    # ends an utterance whose text is plainly a finished sentence; 0 leaves it to silence_s
    min_silence_s: Annotated[float, Meta(ge=0, le=10)] = 0.0
    tick_ms: Annotated[int, Meta(ge=10, le=1000)] = 50  # from one look at new audio to the next


Device = Literal["auto", "cpu", "cuda", "cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:4", "cuda:5", "cuda:6", "cuda:7"]
"""Where a model runs. "cuda" is the first card; with a number it is that of nvidia-smi."""


class AsrSettings(Section, frozen=True):
    """Recognition."""

    engine: Literal["auto", "faster_whisper", "pocketsphinx"] = "auto"  # "auto" takes the best that is usable
    model: Text = "large-v3"  # a Whisper size, hub id or local directory
    language: Annotated[str, Meta(pattern=r"^(auto|[a-z]{2,3})\Z")] = "ja"  # ISO 639-1 code or "auto"
    languages: tuple[Annotated[str, Meta(pattern=r"^[a-z]{2,3}\Z")], ...] = ()  # of "auto"; empty for all there are
    device: Device = "auto"  # where the model runs
    compute_type: Text = "float16"  # of CTranslate2, the best one wanted
    beam_size: Annotated[int, Meta(ge=1, le=20)] = 5  # hypotheses that decoding keeps
    # of decoding, the next one where the text is improbable or repeats itself
    temperatures: Annotated[tuple[Fraction, ...], Meta(min_length=1)] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    no_speech_threshold: Fraction = 0.6  # probability from which an improbable text is taken for silence
    # mean log probability of its tokens below which a text is improbable
    log_prob_threshold: Annotated[float, Meta(le=0)] = -1.0
    compression_ratio_threshold: Annotated[float, Meta(gt=1)] = 2.4  # of gzip, above which a text repeats itself
    phantoms: str = ""  # file with phrases of your own that count where there is little speech, "" for the package's
    second_look: bool = False  # whether segments with numbers or negations are recognised once more, by themselves
    punctuation: bool = True  # whether Japanese is given 。 and 、 where the model leaves them out
    # Japanese numbers as people write them in minutes, or as the model does
    numbers: Literal["digits", "keep"] = "digits"
    context_chars: Annotated[int, Meta(ge=0, le=200)] = 0  # how much of the text before the model is given; 0 is none
    cpu_threads: Annotated[int, Meta(ge=0)] = 0  # 0 lets the engine choose
    live: bool = True  # whether the open phrase is recognised while it is said
    early: bool = True  # whether work on an utterance begins at each pause, before it is certain that it has ended
    # text of early work: the whole at once, phrases once each, or the whole while that is ready in time
    final: Literal["auto", "whole", "phrases"] = "auto"


class AlignmentSettings(Section, frozen=True):
    """engine: "whisperx" times words with a wav2vec2 model, "whisper" keeps the recogniser's own times, "auto" is the
    first where it is usable. model: "auto" for the one that is known for the language, else a hub id or directory.
    device: "cuda" is the card that the recogniser uses."""

    engine: Literal["auto", "whisperx", "whisper"] = "auto"
    model: Text = "auto"
    device: Literal["auto", "cuda", "cpu"] = "auto"


class DiarizationSettings(Section, frozen=True):
    """Who speaks when."""

    engine: Literal["auto", "pyannote", "onnx", "spectral", "none"] = "auto"  # "auto" takes the best that is usable
    model: Text = "pyannote/speaker-diarization-community-1"  # of pyannote, a hub id or directory
    onnx_model: Text = "small"  # of onnx: "small" is in the package, "large" from the hub; or a directory
    device: Device = "auto"  # where pyannote's model runs
    min_speakers: Annotated[int, Meta(ge=1, le=50)] = 1  # in a session, at least
    max_speakers: Annotated[int, Meta(ge=1, le=50)] = 20  # in a session, at most
    embedding_batch_size: Annotated[int, Meta(ge=1, le=64)] = 8  # of pyannote, what memory depends on
    same_voice: Fraction = 0.0  # cosine similarity from which pyannote's voices are one; 0 is the model's own
    deadline_s: Seconds = 10.0  # how long a result waits for its speakers after the text is there
    revise_s: Seconds = 600.0  # how long after it was said the name of who said it may change


class CorrectionSettings(Section, frozen=True):
    """prompts: directory with prompt files that replace those of the package, "" for none. deadline_s: seconds after
    the trigger at which the recognised text goes out uncorrected. segments_per_request: texts sent to the LLM at once.
    context_lines: earlier utterances sent along."""

    engine: Literal["auto", "ollama", "none"] = "auto"
    prompts: str = ""
    deadline_s: Seconds = 5.0
    segments_per_request: Annotated[int, Meta(ge=1, le=20)] = 5
    context_lines: Annotated[int, Meta(ge=0, le=50)] = 3


class SummarySettings(Section, frozen=True):
    """prompts: directory with prompt files that replace those of the package, "" for none."""

    prompts: str = ""


class LlmSettings(Section, frozen=True):
    """The Ollama server, and how it is asked."""

    host: Annotated[str, Meta(pattern=r"^https?://")] = "http://127.0.0.1:11434"  # its address
    model: Text = "qwen2.5:14b-instruct-q4_0"  # its name at Ollama
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.1  # of its answers; 0 is always the likeliest word
    timeout_s: Seconds = 60.0  # of one request
    load_timeout_s: Seconds = 600.0  # of the warm-up, which may load the model from disk
    num_ctx: Annotated[int, Meta(ge=512)] = 4096  # tokens of prompt and answer together


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
    """What a stage is told at start. The last three can't be reached from config.toml."""

    vad: VadSettings = VadSettings()  # of ingest
    asr: AsrSettings = AsrSettings()  # of recognition
    alignment: AlignmentSettings = AlignmentSettings()  # of the times of words
    diarization: DiarizationSettings = DiarizationSettings()  # of speakers
    correction: CorrectionSettings = CorrectionSettings()  # of correction
    llm: LlmSettings = LlmSettings()  # the one that corrects
    release_after_utterance: bool = True  # whether cached GPU memory is given back after each job
    scratch: str = ""  # directory for what libraries write; empty leaves it to them
    readings: dict[str, str] = {}  # in kana, by term of the glossary
    # by stage that is to run the engine `sleep` instead of the configured one: how long that takes
    sleep_ms: dict[str, float] = {}
    sleep_ms_per_audio_s: dict[str, float] = {}  # what each second of audio adds to that
    faults: dict[str, tuple[Fault, ...]] = {}  # by stage
