"""config.toml → frozen typed settings. What is unknown, mistyped or impossible is refused by name.

Order of use: `load`, then `overrides` (command line), then a profile (`profiles`).
"""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from ipc.messages import StageName
from ipc.settings import (
    AlignmentSettings,
    AsrSettings,
    CorrectionSettings,
    Count,
    DiarizationSettings,
    LlmSettings,
    Seconds,
    Section,
    StageSettings,
    Text,
    VadSettings,
)
from wernicke_daemon import typed_toml
from wernicke_daemon.audio import MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, AudioFormat, Encoding
from wernicke_daemon.typed_toml import ConfigError as ConfigError

DEFAULT_FILE = Path("config.toml")
"""Read from the working directory where no file is named; it need not be there."""

Profile = Literal["auto", "rtx3090", "small-gpu", "cpu", "embedded"]
Port = Annotated[int, Meta(ge=0, le=65_535)]


class AudioSettings(Section, frozen=True):
    """sample_rate, channels, encoding: what clients that do not say otherwise send. ring_seconds: audio kept per
    connection in shared memory. max_frame_mib: largest WebSocket frame taken."""

    sample_rate: Annotated[int, Meta(ge=MIN_SAMPLE_RATE, le=MAX_SAMPLE_RATE)] = 48_000
    channels: Annotated[int, Meta(ge=1, le=MAX_CHANNELS)] = 2
    encoding: Encoding = "f32le"
    ring_seconds: Seconds = 180.0
    max_frame_mib: Annotated[int, Meta(ge=1, le=256)] = 16

    @property
    def format(self) -> AudioFormat:
        return AudioFormat(self.sample_rate, self.channels, self.encoding)


class LoggingSettings(Section, frozen=True):
    """file: relative to the data directory. max_mib, backups: when it is rotated, and how many old files stay.
    log_text: whether transcripts may stand in the log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    file: Text = "logs/wernicke.jsonl"
    max_mib: Count = 50
    backups: Count = 5
    console: bool = True
    log_text: bool = False


class RuntimeSettings(Section, frozen=True):
    """data_dir: relative to the directory of config.toml; `load` makes it absolute. drain_timeout_s: how long a
    shutdown waits for results under way. restart_grace_s: for how long a stage's restart stops the clock of a
    result that waits for it. load_timeout_s: of a stage's start, model included. restarts_max in restarts_window_s:
    more mean that the stage has failed. backoff_*: wait before a restart, doubled each time. stable_after_s: running
    this long clears the count. credit: jobs sent to a stage before the first is answered. max_attempts: times a job may
    take its stage down, or fail, before it is given up. asr_down_limit_s: without a working recogniser, until audio is
    given up. job_timeout_s + job_timeout_per_audio_s × seconds of audio: what one job may take. shed_after_s: how far
    behind speech results may be before work is left out. resume_window_s: for how long a session waits for its client.
    standby: stages with a loaded spare. release_after_utterance: whether stages give cached GPU memory back after each
    job."""

    profile: Profile = "auto"
    data_dir: Text = "data"
    drain_timeout_s: Seconds = 30.0
    restart_grace_s: Seconds = 15.0
    heartbeat_s: Seconds = 1.0
    heartbeat_timeout_s: Seconds = 10.0
    load_timeout_s: Seconds = 900.0
    restarts_max: Count = 5
    restarts_window_s: Seconds = 60.0
    backoff_first_s: Seconds = 0.5
    backoff_max_s: Seconds = 30.0
    stable_after_s: Seconds = 60.0
    credit: Annotated[int, Meta(ge=1, le=8)] = 2
    max_attempts: Annotated[int, Meta(ge=1, le=5)] = 2
    asr_down_limit_s: Seconds = 120.0
    job_timeout_s: Seconds = 75.0
    job_timeout_per_audio_s: Annotated[float, Meta(ge=0, le=1000)] = 4.0
    shed_after_s: Seconds = 20.0
    resume_window_s: Annotated[float, Meta(ge=0, le=3600)] = 60.0
    standby: tuple[StageName, ...] = ()
    release_after_utterance: bool = True


class StoreSettings(Section, frozen=True):
    """enabled: whether transcripts are kept on disk. retention_days: for how long; 0 is for ever."""

    enabled: bool = True
    retention_days: Annotated[int, Meta(ge=0)] = 30


class JournalSettings(Section, frozen=True):
    """enabled: whether received audio is kept on disk until it is final. max_mib: of all sessions together."""

    enabled: bool = True
    max_mib: Count = 1024


class SecuritySettings(Section, frozen=True):
    """clients: hashes ("sha256:" and 64 hex digits) of the tokens that are let in; empty lets everybody in.
    in_query: whether a token may stand in the address. origins: web pages that may connect.
    certificate_file, key_file: PEM files, relative to the directory of config.toml; both or neither."""

    clients: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")], ...],
        Meta(description="a list of hashes as `wernicke token` prints them"),  # in case it is tokens: never shown
    ] = ()
    in_query: bool = False
    origins: tuple[str, ...] = ()
    certificate_file: str = ""
    key_file: str = ""


class Config(Section, frozen=True):
    """All of config.toml. timeout: seconds without a sign of life after which a connection is closed.
    port: 0 takes a free one. cors_origins: web pages that may read the HTTP answers."""

    host: Text = "0.0.0.0"
    port: Port = 8000
    max_connections: Annotated[int, Meta(ge=1, le=500)] = 5
    timeout: Annotated[float, Meta(gt=0, le=86_400)] = 300.0
    cors_origins: tuple[str, ...] = ()
    audio: AudioSettings = AudioSettings()
    vad: VadSettings = VadSettings()
    asr: AsrSettings = AsrSettings()
    alignment: AlignmentSettings = AlignmentSettings()
    diarization: DiarizationSettings = DiarizationSettings()
    correction: CorrectionSettings = CorrectionSettings()
    llm: LlmSettings = LlmSettings()
    logging: LoggingSettings = LoggingSettings()
    runtime: RuntimeSettings = RuntimeSettings()
    store: StoreSettings = StoreSettings()
    journal: JournalSettings = JournalSettings()
    security: SecuritySettings = SecuritySettings()

    @property
    def data_path(self) -> Path:
        return Path(self.runtime.data_dir)

    @property
    def tls_files(self) -> tuple[Path, Path] | None:
        """Certificate and key, None where none are configured."""
        security = self.security
        if not security.certificate_file:
            return None
        return Path(security.certificate_file), Path(security.key_file)

    @property
    def log_path(self) -> Path:
        return self.data_path / self.logging.file


def load(path: Path | None) -> Config:
    """Settings from `path`; where it is None from config.toml in the working directory, or the defaults.

    Raises ConfigError.
    """
    file = path or DEFAULT_FILE
    config = Config() if path is None and not file.exists() else parse(_read(file), file.name)
    base = file.resolve().parent
    security = config.security
    if security.certificate_file:
        security = replace(
            security,
            certificate_file=_full(base, security.certificate_file),
            key_file=_full(base, security.key_file),
        )
    correction = config.correction
    if correction.prompts:
        correction = replace(correction, prompts=_full(base, correction.prompts))
    runtime = replace(config.runtime, data_dir=_full(base, config.runtime.data_dir))
    return replace(config, runtime=runtime, security=security, correction=correction)


def _full(base: Path, path: str) -> str:
    """Raises ConfigError."""
    try:
        return str(base / Path(path).expanduser())
    except RuntimeError:
        raise ConfigError(f"{path}: there is no such home directory; write the path without ~") from None


def parse(text: str, name: str = DEFAULT_FILE.name) -> Config:
    """Settings from the text of a file called `name`. Raises ConfigError."""
    try:
        config = typed_toml.decode(text, Config)
        _check_together(config)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None
    return config


def overrides(config: Config, host: str | None = None, port: int | None = None, profile: str | None = None) -> Config:
    """`config` with what the command line says. Raises ConfigError naming the option."""
    if profile is not None:
        runtime = replace(config.runtime, profile=typed_toml.convert(profile, Profile, "--profile"))
        config = replace(config, runtime=runtime)
    if host is not None:
        config = replace(config, host=typed_toml.convert(host, Text, "--host"))
    if port is not None:
        config = replace(config, port=typed_toml.convert(port, Port, "--port"))
    return config


def stage_settings(config: Config) -> StageSettings:
    return StageSettings(
        vad=config.vad,
        asr=config.asr,
        alignment=config.alignment,
        diarization=config.diarization,
        correction=config.correction,
        llm=config.llm,
        release_after_utterance=config.runtime.release_after_utterance,
        scratch=str(config.data_path / "scratch"),
    )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")  # Windows editors put a mark before the first line
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file; name an existing one or leave --config out") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{file}: can't be read ({error.strerror})") from None


def _check_together(config: Config) -> None:
    """What no value can be blamed for alone."""
    _check_utterance(config.vad)
    _check_ring(config)
    runtime = config.runtime
    if runtime.heartbeat_timeout_s <= runtime.heartbeat_s:
        raise ConfigError(
            f"runtime.heartbeat_timeout_s: expected more than runtime.heartbeat_s ({runtime.heartbeat_s:g}), "
            f"got {runtime.heartbeat_timeout_s:g}"
        )
    if runtime.backoff_max_s < runtime.backoff_first_s:
        raise ConfigError(
            f"runtime.backoff_max_s: expected at least runtime.backoff_first_s ({runtime.backoff_first_s:g}), "
            f"got {runtime.backoff_max_s:g}"
        )
    if config.diarization.min_speakers > config.diarization.max_speakers:
        raise ConfigError(
            f"diarization.min_speakers: expected at most diarization.max_speakers ({config.diarization.max_speakers}), "
            f"got {config.diarization.min_speakers}"
        )
    if bool(config.security.certificate_file) != bool(config.security.key_file):
        raise ConfigError("security.certificate_file: goes together with security.key_file; give both or neither")


def _check_utterance(vad: VadSettings) -> None:
    if vad.cut_search_s > vad.max_utterance_s:
        raise ConfigError(
            f"vad.cut_search_s: expected at most vad.max_utterance_s ({vad.max_utterance_s:g}), "
            f"got {vad.cut_search_s:g}"
        )
    if vad.post_roll_s > vad.silence_s:
        raise ConfigError(
            f"vad.post_roll_s: expected at most vad.silence_s ({vad.silence_s:g}), got {vad.post_roll_s:g}"
        )


def _check_ring(config: Config) -> None:
    """One utterance may be at work while the next, as long, is being received."""
    vad = config.vad
    needed = 2 * (vad.max_utterance_s + vad.pre_roll_s + vad.post_roll_s + vad.cut_search_s)
    if config.audio.ring_seconds < needed:
        raise ConfigError(
            f"audio.ring_seconds: expected at least {needed:g} (twice the longest utterance with its rolls and "
            f"vad.cut_search_s), got {config.audio.ring_seconds:g}"
        )
