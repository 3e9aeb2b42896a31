"""config.toml → `Config`. What is unknown, mistyped or impossible is refused by name, in one sentence.

Order of use: `load`, then `overrides` (command line), then a profile (`hardware/profiles.py`).
"""

from pathlib import Path

from msgspec.structs import replace

from ipc.settings import Text
from wernicke_daemon.config import glossary, orders, typed_toml
from wernicke_daemon.config.schema import Config, Port, Profile, RaySettings, SecuritySettings
from wernicke_daemon.config.typed_toml import ConfigError

DEFAULT_FILE = Path("config.toml")
"""Read from the working directory where no file is named; it need not be there."""


def load(path: Path | None) -> Config:
    """Settings from `path`; where it is None from config.toml in the working directory, or the defaults.

    Raises ConfigError.
    """
    file = path or DEFAULT_FILE
    config = Config() if path is None and not file.exists() else parse(_read(file), file.name)
    return _with_glossary_file(_with_full_paths(config, file.resolve().parent))


def parse(text: str, name: str = DEFAULT_FILE.name) -> Config:
    """Settings from the text of a file called `name`; paths in it stay relative. Raises ConfigError."""
    try:
        config = typed_toml.decode(text, Config)
        _check_together(config)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None
    return config


def overrides(config: Config, host: str | None = None, port: int | None = None, profile: str | None = None) -> Config:
    """`config` with what the command line says. Raises ConfigError naming the option, or the setting that does not go
    with it."""
    if profile is not None:
        runtime = replace(config.runtime, profile=typed_toml.convert(profile, Profile, "--profile"))
        config = replace(config, runtime=runtime)
    if host is not None:
        config = replace(config, host=typed_toml.convert(host, Text, "--host"))
    if port is not None:
        config = replace(config, port=typed_toml.convert(port, Port, "--port"))
    _check_web(config)
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
    security, asr, correction = config.security, config.asr, config.correction
    if security.certificate_file:
        certificate, key = _full(base, security.certificate_file), _full(base, security.key_file)
        security = replace(security, certificate_file=certificate, key_file=key)
    if asr.phantoms:
        asr = replace(asr, phantoms=_full(base, asr.phantoms))
    if config.glossary_file:
        config = replace(config, glossary_file=_full(base, config.glossary_file))
    if correction.prompts:
        correction = replace(correction, prompts=_full(base, correction.prompts))
    if config.summary.prompts:
        config = replace(config, summary=replace(config.summary, prompts=_full(base, config.summary.prompts)))
    runtime = replace(config.runtime, data_dir=_full(base, config.runtime.data_dir))
    return replace(config, runtime=runtime, security=security, asr=asr, correction=correction)


def _with_glossary_file(config: Config) -> Config:
    """Its lines go behind those of config.toml. Raises ConfigError."""
    if not config.glossary_file:
        return config
    terms, rules = glossary.lines(_read(Path(config.glossary_file)))
    config = replace(config, glossary=(*config.glossary, *terms), replacements=(*config.replacements, *rules))
    try:
        glossary.parsed(config.glossary, config.replacements)
    except ConfigError as error:
        raise ConfigError(f"{config.glossary_file}: {error}") from None
    return config


def _full(base: Path, path: str) -> str:
    """Raises ConfigError."""
    try:
        return str(base / Path(path).expanduser())
    except RuntimeError:
        raise ConfigError(f"{path}: there is no such home directory; write the path without ~") from None


# --- settings that have to fit each other ----------------------------------------------------------


def _check_together(config: Config) -> None:
    """Raises ConfigError where each value is allowed, but not beside another one."""
    orders.check(config)
    _check_glossary(config)
    _check_certificate(config.security)
    _check_replicas(config)
    _check_ray(config.ray)
    _check_web(config)


def _check_glossary(config: Config) -> None:
    for setting, terms, rules in (("glossary", config.glossary, ()), ("replacements", (), config.replacements)):
        try:
            glossary.parsed(terms, rules)
        except ConfigError as error:
            raise ConfigError(f"{setting}: {error}") from None


def _check_certificate(security: SecuritySettings) -> None:
    if bool(security.certificate_file) != bool(security.key_file):
        raise ConfigError("security.certificate_file: goes together with security.key_file; give both or neither")


def _check_replicas(config: Config) -> None:
    if config.replicas.ingest > 1:
        raise ConfigError(
            "replicas.ingest: leave it at 1; it has one job at a time, for all sessions, so another would never work"
        )


def _check_ray(ray: RaySettings) -> None:
    if "://" in ray.address:
        raise ConfigError(
            f'ray.address: write "host:port" of the head, or "auto", not {ray.address!r}; this machine has to be a '
            "node of the cluster (`ray start --address host:port`)"
        )


def _check_web(config: Config) -> None:
    """Pages are nowhere where the daemon itself is not."""
    web = config.web
    if not web.enabled:
        return
    if web.port == config.port != 0:
        raise ConfigError(f"web.port: {web.port} is the daemon's own port; choose another, such as 8001")
    everywhere = config.host in ("0.0.0.0", "::")
    if web.host not in ("", config.host, "127.0.0.1", "::1", "localhost") and not everywhere:
        raise ConfigError(f'web.host: the daemon listens on {config.host} only; write that, or "127.0.0.1", or ""')
    if config.host == "0.0.0.0" and web.host == "::":
        raise ConfigError('web.host: the daemon does not listen on IPv6; write "" or make host "::", too')
