"""config.toml → `Config`. What is unknown, mistyped or impossible is refused by name, in one sentence.

Order of use: `load`, then `overrides` (command line), then a profile (`hardware/profiles.py`).
"""

from pathlib import Path

from msgspec.structs import replace

from ipc.settings import DiarizationSettings, Text, VadSettings
from wernicke_daemon.config import typed_toml
from wernicke_daemon.config.schema import Config, Port, Profile, RuntimeSettings, SecuritySettings
from wernicke_daemon.config.typed_toml import ConfigError

DEFAULT_FILE = Path("config.toml")
"""Read from the working directory where no file is named; it need not be there."""


def load(path: Path | None) -> Config:
    """Settings from `path`; where it is None from config.toml in the working directory, or the defaults.

    Raises ConfigError.
    """
    file = path or DEFAULT_FILE
    config = Config() if path is None and not file.exists() else parse(_read(file), file.name)
    return _with_full_paths(config, file.resolve().parent)


def parse(text: str, name: str = DEFAULT_FILE.name) -> Config:
    """Settings from the text of a file called `name`; paths in it stay relative. Raises ConfigError."""
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


# --- the file --------------------------------------------------------------------------------------


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")  # Windows editors put a mark before the first line
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file; name an existing one or leave --config out") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{file}: can't be read ({error.strerror})") from None


def _with_full_paths(config: Config, base: Path) -> Config:
    """base: the directory that relative paths in config.toml start from. Raises ConfigError."""
    security, correction = config.security, config.correction
    if security.certificate_file:
        certificate, key = _full(base, security.certificate_file), _full(base, security.key_file)
        security = replace(security, certificate_file=certificate, key_file=key)
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


# --- settings that have to fit each other ----------------------------------------------------------


def _check_together(config: Config) -> None:
    """Raises ConfigError where each value is allowed, but not beside another one."""
    _check_utterance(config.vad)
    _check_ring(config)
    _check_runtime(config.runtime)
    _check_speakers(config.diarization)
    _check_certificate(config.security)


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


def _check_runtime(runtime: RuntimeSettings) -> None:
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


def _check_speakers(diarization: DiarizationSettings) -> None:
    if diarization.min_speakers > diarization.max_speakers:
        raise ConfigError(
            f"diarization.min_speakers: expected at most diarization.max_speakers ({diarization.max_speakers}), "
            f"got {diarization.min_speakers}"
        )


def _check_certificate(security: SecuritySettings) -> None:
    if bool(security.certificate_file) != bool(security.key_file):
        raise ConfigError("security.certificate_file: goes together with security.key_file; give both or neither")
