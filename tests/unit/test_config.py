import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec import json

from ipc.settings import Device, StageSettings
from wernicke_daemon.config.load import load, overrides, parse
from wernicke_daemon.config.schema import Config, stage_settings
from wernicke_daemon.config.typed_toml import ConfigError

ROOT = Path(__file__).parents[2]
DEFAULTS = json.decode(json.encode(Config()))
DEVICES = f"a list, each one of {', '.join(json.encode(device).decode() for device in get_args(Device))}"
SHIPPED = (ROOT / "config.toml").read_text(encoding="utf-8")


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return str(caught.value)


def flat(table: dict[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= flat(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return found


def test_ray_client_addresses_are_refused_with_what_to_write(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[ray]\naddress = "ray://10.0.0.5:10001"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"ray.address: write \"host:port\" .* or \"auto\""):
        load(file)


def test_shipped_file_is_the_defaults() -> None:
    """config.toml holds every setting, each with the default the code has."""
    assert flat(tomllib.loads(SHIPPED)) == flat(DEFAULTS)
    assert parse(SHIPPED) == Config()


def test_shipped_file_comments_every_setting() -> None:
    """Each line of config.toml that sets something says what it is."""
    assert [line for line in SHIPPED.splitlines() if re.match(r"\w+ =", line) and "  # " not in line] == []


def test_documentation_has_every_setting_and_its_default() -> None:
    """docs/configuration.md lists exactly the settings there are, with their defaults."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \|", text, re.MULTILINE))
    defaults = {key: tomllib.loads(f"x = {value}")["x"] for key, value in documented.items()}
    assert defaults == flat(DEFAULTS)


def test_defaults_are_the_original_designs() -> None:
    """Who changes nothing gets what the original design promised."""
    config = Config()
    assert (config.host, config.port, config.max_connections, config.timeout) == ("0.0.0.0", 8000, 5, 300)
    assert (config.audio.sample_rate, config.audio.channels) == (48_000, 2)
    assert (config.vad.threshold_db, config.vad.silence_s, config.vad.max_utterance_s) == (-85, 2, 30)
    assert (config.asr.model, config.asr.language, config.asr.compute_type) == ("large-v3", "ja", "float16")
    assert (config.llm.model, config.llm.host) == ("qwen2.5:14b-instruct-q4_0", "http://127.0.0.1:11434")
    assert (config.llm.timeout_s, config.llm.temperature, config.correction.segments_per_request) == (60, 0.1, 5)


def test_values_are_taken_and_the_rest_keeps_its_default() -> None:
    """A file need only name what differs; whole numbers serve where fractions may stand."""
    config = parse('timeout = 10\ncors_origins = ["http://a"]\n[asr]\nbeam_size = 1\n')
    assert (config.timeout, config.cors_origins, config.asr.beam_size) == (10.0, ("http://a",), 1)
    assert config.asr.model == Config().asr.model


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[asr]\nbeam_size = "five"', 'config.toml: asr.beam_size: expected int between 1 and 20, got "five"'),
        ("[asr]\nbeam_size = 21", "config.toml: asr.beam_size: expected int between 1 and 20, got 21"),
        ("port = true", "config.toml: port: expected int between 0 and 65535, got true"),
        ("timeout = nan", "config.toml: timeout: expected number above 0 and at most 86400, got NaN"),
        ("[llm]\nnum_ctx = 1", "config.toml: llm.num_ctx: expected int of at least 512, got 1"),
        ("[logging]\nconsole = 1", "config.toml: logging.console: expected true or false, got 1"),
        (
            '[replicas]\ncorrection = ["cuda:1"]',
            'config.toml: replicas.correction: expected int between 1 and 16, got ["cuda:1"]',
        ),
        ("[replicas]\nasr = 0", f"config.toml: replicas.asr: expected int between 1 and 16 or {DEVICES}, got 0"),
        (
            '[replicas]\nasr = ["cuda:9"]',
            f'config.toml: replicas.asr: expected int between 1 and 16 or {DEVICES}, got ["cuda:9"]',
        ),
        (
            "[replicas]\ningest = 2",
            "config.toml: replicas.ingest: leave it at 1; it has one job at a time, for all sessions, so another would "
            "never work",
        ),
        ("cors_origins = [1]", "config.toml: cors_origins: expected a list of texts, got [1]"),
        (
            "[asr]\ntemperatures = [2]",
            "config.toml: asr.temperatures: expected a list, each number between 0 and 1, got [2]",
        ),
        (
            '[security]\nclients = ["my-token"]',  # the token itself, where its hash should be, is not shown
            "config.toml: security.clients: expected a list of hashes as `wernicke token` prints them, "
            "got something else",
        ),
        ('[asr]\nlanguage = "Japanese"', 'config.toml: asr.language: expected text such as "ja", got "Japanese"'),
        ('[audio]\nencoding = "mp3"', 'config.toml: audio.encoding: expected one of "f32le", "s16le", got "mp3"'),
        ("asr = 5", "config.toml: asr: expected a section [asr], got 5"),
        ("asr = false", "config.toml: asr: expected a section [asr], got false"),
        (
            "store = false",
            "config.toml: store: expected a section [store], got false; write [store] and below it enabled = false",
        ),
        (
            "journal = true",
            "config.toml: journal: expected a section [journal], got true; write [journal] and below it enabled = true",
        ),
        ("journal = 5", "config.toml: journal: expected a section [journal], got 5"),
        ("host = 2020-01-01", 'config.toml: host: expected text such as "0.0.0.0", got "2020-01-01"'),
    ],
)
def test_bad_value_is_refused_by_path(text: str, message: str) -> None:
    """A wrong type or an impossible value is named with what would be right."""
    assert refusal(text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[asr]\nbeam_sise = 5", "asr.beam_sise: unknown key; did you mean asr.beam_size?"),
        ("[asr]\nport = 1", "asr.port: unknown key; did you mean port or web.port?"),
        (
            "[vad]\nmodel = 1",
            "vad.model: unknown key; did you mean asr.model or alignment.model or diarization.model or llm.model?",
        ),
        ("[alignment]\nxyzzy = 1", "alignment.xyzzy: unknown key; known here: engine, model, device"),
        ("[whisper]\nmodel = 1", f"whisper: unknown key; known here: {', '.join(Config.__struct_fields__)}"),
        ("[llm.host]\nx = 1", "llm.host.x: unknown key; known here: "),
        ('"asr.model" = "x"', '"asr.model": unknown key; did you mean asr.model?'),
    ],
)
def test_unknown_key_is_named_with_a_guess(text: str, message: str) -> None:
    """A key that does not exist is refused, with the likeliest one that does."""
    assert refusal(text) == f"config.toml: {message}"


@pytest.mark.parametrize(
    "text",
    [
        'hf_token = "S3CRET"',
        '[diarization]\nhfToken = "S3CRET"',
        '[llm]\napi_key = "S3CRET"',
        '[llm]\nheaders = {deep = [{Password = "S3CRET"}]}',
        '[secrets]\na = "S3CRET"',
        'port = "x"\n[asr]\n"my.access-key.x" = "S3CRET"',
    ],
)
def test_secret_is_refused_and_never_shown(text: str) -> None:
    """A token or password, wherever it stands, is sent to the environment and kept out of the message."""
    message = refusal(text)
    assert "HF_TOKEN" in message and "do not belong in this file" in message
    assert "S3CRET" not in message


def test_syntax_error_is_refused_with_its_line() -> None:
    """What is not TOML is refused, saying where."""
    message = refusal("port = 8000\nhost = = 1\n")
    assert message.startswith("config.toml: not valid TOML") and "line 2" in message


def test_named_file_must_exist(tmp_path: Path) -> None:
    """A file named on the command line that is not there stops the start."""
    with pytest.raises(ConfigError, match=r"absent\.toml: there is no such file"):
        load(tmp_path / "absent.toml")


def test_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused in words."""
    (tmp_path / "own.toml").write_bytes(b"host = '\xff'")
    with pytest.raises(ConfigError, match="save it as UTF-8"):
        load(tmp_path / "own.toml")


def test_directory_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    """What can't be read is refused in words."""
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path)


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data directory does not move with the working directory; a byte-order mark does no harm."""
    (tmp_path / "own.toml").write_text('[runtime]\ndata_dir = "store"\n', encoding="utf-8-sig")
    monkeypatch.chdir(ROOT)
    config = load(tmp_path / "own.toml")
    assert config.data_path == tmp_path.resolve() / "store"
    assert config.log_path == tmp_path.resolve() / "store" / "logs" / "wernicke.jsonl"


def test_a_home_that_nobody_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, for a user without an entry in /etc/passwd."""

    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    file = tmp_path / "mine.toml"
    file.write_text('[runtime]\ndata_dir = "~/data"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="~/data: there is no such home directory"):
        load(file)


def test_working_directorys_file_is_read_if_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --config, config.toml of the working directory counts, or else the defaults."""
    monkeypatch.chdir(tmp_path)
    assert load(None).port == 8000
    assert load(None).data_path == tmp_path.resolve() / "data"
    (tmp_path / "config.toml").write_text("port = 1234\n", encoding="utf-8")
    assert load(None).port == 1234


def test_command_line_goes_before_the_file() -> None:
    """What is given on the command line replaces the file's value, and nothing else."""
    config = overrides(parse("port = 1\ntimeout = 7\n"), host="127.0.0.1", port=0, profile="embedded")
    assert (config.host, config.port, config.timeout, config.runtime.profile) == ("127.0.0.1", 0, 7, "embedded")
    assert overrides(Config()) == Config()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"port": 65_536}, "--port: expected int between 0 and 65535, got 65536"),
        ({"host": ""}, '--host: expected text that is not empty, got ""'),
        (
            {"profile": "best"},
            '--profile: expected one of "auto", "cpu", "embedded", "rtx3090", "small-gpu", got "best"',
        ),
    ],
)
def test_bad_option_is_refused(option: dict[str, Any], message: str) -> None:
    """A bad value on the command line is named by its option."""
    with pytest.raises(ConfigError) as caught:
        overrides(Config(), **option)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "option", "setting"),
    [
        ("port = 8001", {}, "web.port"),
        ('host = "127.0.0.1"\n[web]\nhost = "0.0.0.0"', {}, "web.host"),
        ('[web]\nhost = "::"', {}, "web.host"),
        ('[web]\nhost = "192.168.1.20"', {"host": "127.0.0.1"}, "web.host"),
        ("", {"port": 8001}, "web.port"),
    ],
)
def test_pages_are_nowhere_where_the_daemon_is_not(text: str, option: dict[str, Any], setting: str) -> None:
    """Nor on its port, whether the file or the command line says so; switched off they are in nobody's way."""
    with pytest.raises(ConfigError, match=setting):
        overrides(parse(text), **option)
    overrides(parse("port = 8001\n[web]\nenabled = false"))
    overrides(parse('[web]\nhost = "192.168.1.20"'))


def test_stages_get_their_sections() -> None:
    """Stages are told what the file says, and run no test engine."""
    config = parse('[asr]\nlanguage = "en"\n[llm]\nnum_ctx = 512\n[vad]\ntick_ms = 20\n')
    settings = stage_settings(config)
    assert (settings.asr.language, settings.llm.num_ctx, settings.vad.tick_ms) == ("en", 512, 20)
    assert stage_settings(Config()) == StageSettings(scratch=str(Path("data", "scratch")))
