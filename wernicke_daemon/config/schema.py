"""All settings of config.toml as frozen typed structs, with their defaults and ranges. `load.py` reads the file."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import StageName
from ipc.settings import (
    MOST_REPLICAS,
    AlignmentSettings,
    AsrSettings,
    CorrectionSettings,
    Count,
    Device,
    DiarizationSettings,
    LlmSettings,
    Seconds,
    Section,
    StageSettings,
    SummarySettings,
    Text,
    VadSettings,
)
from wernicke_daemon.config import glossary
from wernicke_daemon.config.glossary import Glossary
from wernicke_daemon.wire.audio import MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, AudioFormat, Encoding

Profile = Literal["auto", "rtx3090", "small-gpu", "cpu", "embedded"]
"""What `runtime.profile` and `--profile` may be; `hardware/profiles.py` has what each of them sets."""
Port = Annotated[int, Meta(ge=0, le=65_535)]


class AudioSettings(Section, frozen=True):
    """What clients send, and how much of it is kept."""

    # of clients that do not say otherwise
    sample_rate: Annotated[int, Meta(ge=MIN_SAMPLE_RATE, le=MAX_SAMPLE_RATE)] = 48_000
    channels: Annotated[int, Meta(ge=1, le=MAX_CHANNELS)] = 2  # of the same
    encoding: Encoding = "f32le"  # of the same
    ring_seconds: Seconds = 180.0  # audio kept per connection in shared memory
    max_frame_mib: Annotated[int, Meta(ge=1, le=256)] = 16  # largest WebSocket frame taken
    # memory for what clients send faster than it is worked on, of all of them together
    read_ahead_mib: Annotated[int, Meta(ge=1, le=65_536)] = 512

    @property
    def format(self) -> AudioFormat:
        return AudioFormat(self.sample_rate, self.channels, self.encoding)

    @property
    def ring_samples(self) -> int:
        """Of 16 kHz mono."""
        return round(self.ring_seconds * SAMPLE_RATE)


class LoggingSettings(Section, frozen=True):
    """The log file, and what may stand in it."""

    level: Literal["debug", "info", "warning", "error"] = "info"  # the least that is logged
    file: Text = "logs/wernicke.jsonl"  # relative to the data directory
    max_mib: Count = 50  # from which it is rotated
    backups: Count = 5  # how many old files stay
    console: bool = True  # whether the terminal shows it, too
    log_text: bool = False  # whether transcripts may stand in it


class RuntimeSettings(Section, frozen=True):
    """Processes, their restarts, and limits of time."""

    profile: Profile = "auto"  # which engines and models; "auto" goes by the graphics card
    data_dir: Text = "data"  # relative to the directory of config.toml; `load` makes it absolute
    drain_timeout_s: Seconds = 30.0  # how long a shutdown waits for results under way
    restart_grace_s: Seconds = 15.0  # for how long a stage's restart stops the clock of a result that waits for it
    heartbeat_s: Seconds = 1.0  # how often a stage reports
    heartbeat_timeout_s: Seconds = 10.0  # without a report, after which it is taken for hung
    hello_timeout_s: Seconds = 120.0  # for a stage's process to connect, before its engine is loaded
    load_timeout_s: Seconds = 900.0  # for that, model included
    restarts_max: Count = 5  # more of them in restarts_window_s mean that the stage has failed
    restarts_window_s: Seconds = 60.0  # in which restarts are counted
    backoff_first_s: Seconds = 0.5  # wait before a restart, doubled each time ...
    backoff_max_s: Seconds = 30.0  # ... up to this
    stable_after_s: Seconds = 60.0  # running this long clears the count
    credit: Annotated[int, Meta(ge=1, le=8)] = 2  # jobs sent to a replica before it has answered the first
    # times a job may take its stage down, or fail, before it is given up
    max_attempts: Annotated[int, Meta(ge=1, le=5)] = 2
    asr_down_limit_s: Seconds = 120.0  # without a working recogniser, until audio is given up
    job_timeout_s: Seconds = 75.0  # what one job may take, ...
    # ... and how much more for each second of its audio
    job_timeout_per_audio_s: Annotated[float, Meta(ge=0, le=1000)] = 4.0
    shed_after_s: Seconds = 20.0  # how far behind speech results may be before work is left out
    resume_window_s: Annotated[float, Meta(ge=0, le=3600)] = 600.0  # for how long a session waits for its client
    standby: tuple[StageName, ...] = ()  # stages with a loaded spare
    # without a client, after which models leave the memory; 0 keeps them
    idle_unload_s: Annotated[float, Meta(ge=0, le=604_800)] = 0.0
    release_after_utterance: bool = True  # whether stages give cached GPU memory back after each job


MOST_HERE = 16
"""Of each stage on this machine. Each process takes four sockets of libzmq's 1023, and some fifteen files of 4096; a
spare as many again."""

Number = Annotated[int, Meta(ge=1, le=MOST_HERE)]
Devices = Annotated[tuple[Device, ...], Meta(min_length=1, max_length=MOST_HERE)]


class ReplicasSettings(Section, frozen=True):
    """How many processes of each stage work side by side on this machine: a number, each on the device that the stage's
    own section names; or a list with the device of each."""

    asr: Number | Devices = 1  # device also of the times of words
    diarization: Number | Devices = 1
    correction: Number = 1  # texts that are corrected at a time
    ingest: Number = 1  # never more: it has one job at a time, for all sessions

    def devices(self, stage: StageName) -> tuple[Device | None, ...]:
        """One for each replica; None for that of the stage's own section."""
        wanted: int | tuple[Device, ...] = getattr(self, stage)
        return (None,) * wanted if isinstance(wanted, int) else wanted


Actors = Annotated[int, Meta(ge=0, le=MOST_REPLICAS)]
Cards = Annotated[float, Meta(ge=0, le=8)]


class RayStages(Section, frozen=True):
    """How many actors a stage has; 0 leaves it on this machine. Ingest always is."""

    asr: Actors = 0
    diarization: Actors = 0
    correction: Actors = 0


class RayGpus(Section, frozen=True):
    """What an actor takes of a card, on nodes that have one: 0.5 is half of it, 2 are two."""

    asr: Cards = 0.5
    diarization: Cards = 0.5
    correction: Cards = 0.0  # it asks an Ollama server


class RaySettings(Section, frozen=True):
    """Stages that run as actors of a Ray cluster."""

    address: Text = "auto"  # of the head: "host:port"; "auto" for the cluster that this machine is a node of
    stages: RayStages = RayStages()  # [ray.stages]: how many actors each has
    gpus: RayGpus = RayGpus()  # [ray.gpus]: what each takes of a card

    def actors(self, stage: StageName) -> int:
        """0 where it is no stage of Ray's."""
        return int(getattr(self.stages, stage, 0))

    def cards(self, stage: StageName) -> float:
        return float(getattr(self.gpus, stage, 0.0))


class StoreSettings(Section, frozen=True):
    """enabled: whether transcripts are kept on disk. retention_days: for how long; 0 is for ever."""

    enabled: bool = True
    retention_days: Annotated[int, Meta(ge=0)] = 30


class JournalSettings(Section, frozen=True):
    """enabled: whether received audio is kept on disk until it is final. max_mib: of all sessions together."""

    enabled: bool = True
    max_mib: Count = 1024


class VoicesSettings(Section, frozen=True):
    """remember: whether voices that clients name are known in later sessions. A voiceprint is personal data."""

    remember: bool = False


class WebSettings(Section, frozen=True):
    """Pages for browsers, in a process of their own."""

    enabled: bool = True  # whether there are any
    port: Port = 8001  # of the pages; 0 takes a free one
    host: str = ""  # address that is listened on; "" is the daemon's own
    upload_mib: Annotated[int, Meta(ge=1, le=65_536)] = 1024  # largest file that is taken to be transcribed
    upload_s: Annotated[float, Meta(gt=0, le=86_400)] = 14_400.0  # the longest such file


class SecuritySettings(Section, frozen=True):
    """clients: hashes ("sha256:" and 64 hex digits) of the tokens that are let in; empty lets everybody in.
    in_query: whether a token may stand in the address. origins: web pages that may connect.
    certificate_file, key_file: PEM files, relative to the directory of config.toml; both or neither."""

    clients: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")], ...],
        Meta(
            description="a list of hashes as `wernicke token` prints them"
        ),  # such a value is never shown: it may be a token
    ] = ()
    in_query: bool = False
    origins: tuple[str, ...] = ()
    certificate_file: str = ""
    key_file: str = ""


class Config(Section, frozen=True):
    """All of config.toml."""

    host: Text = "0.0.0.0"  # address that is listened on
    port: Port = 8000  # 0 takes a free one
    max_connections: Annotated[int, Meta(ge=1, le=500)] = 5  # clients at a time
    # seconds without a sign of life after which a connection is closed
    timeout: Annotated[float, Meta(gt=0, le=86_400)] = 300.0
    cors_origins: tuple[str, ...] = ()  # web pages that may read the HTTP answers
    glossary: tuple[str, ...] = ()  # terms that will be heard, in every session
    replacements: tuple[str, ...] = ()  # what is written for what is heard
    glossary_file: str = ""  # more of both; `load` has read it
    audio: AudioSettings = AudioSettings()  # [audio]: what clients send, and how much is kept
    vad: VadSettings = VadSettings()  # [vad]: where utterances end
    asr: AsrSettings = AsrSettings()  # [asr]: recognition
    alignment: AlignmentSettings = AlignmentSettings()  # [alignment]: times of words
    diarization: DiarizationSettings = DiarizationSettings()  # [diarization]: speakers
    correction: CorrectionSettings = CorrectionSettings()  # [correction]: by an LLM
    llm: LlmSettings = LlmSettings()  # [llm]: the Ollama server
    summary: SummarySettings = SummarySettings()  # [summary]: of transcripts, by the LLM
    logging: LoggingSettings = LoggingSettings()  # [logging]: the log
    runtime: RuntimeSettings = RuntimeSettings()  # [runtime]: processes and limits
    replicas: ReplicasSettings = ReplicasSettings()  # [replicas]: how many processes each stage has
    ray: RaySettings = RaySettings()  # [ray]: stages on other machines
    store: StoreSettings = StoreSettings()  # [store]: transcripts on disk
    journal: JournalSettings = JournalSettings()  # [journal]: audio on disk until it is final
    voices: VoicesSettings = VoicesSettings()  # [voices]: people that are known by their voice
    web: WebSettings = WebSettings()  # [web]: pages for browsers
    security: SecuritySettings = SecuritySettings()  # [security]: who may connect, and encryption

    @property
    def known_terms(self) -> Glossary:
        """What `glossary`, `replacements` and `glossary_file` amount to. `load` has checked it."""
        return glossary.parsed(self.glossary, self.replacements)

    @property
    def rings(self) -> int:
        """More than connections, as a session keeps its ring while it waits for its client to come back."""
        return 2 * self.max_connections

    @property
    def data_path(self) -> Path:
        return Path(self.runtime.data_dir)

    def devices(self, stage: StageName) -> tuple[Device | None, ...]:
        """One for each replica that the stage has on this machine, as of ReplicasSettings; none where Ray has it."""
        return () if self.ray.actors(stage) else self.replicas.devices(stage)

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


def stage_settings(config: Config) -> StageSettings:
    """The part of config.toml that stages are sent at their start."""
    return StageSettings(
        vad=config.vad,
        asr=config.asr,
        alignment=config.alignment,
        diarization=config.diarization,
        correction=config.correction,
        llm=config.llm,
        release_after_utterance=config.runtime.release_after_utterance,
        scratch=str(config.data_path / "scratch"),
        readings=dict(config.known_terms.readings),
    )
