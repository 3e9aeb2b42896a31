"""`wernicke models` as a program, against a hub and an Ollama server that speak their APIs on this machine."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ipc.model_names import ONNX_SPEAKERS
from stages.diarization.speaker_encoder import WeSpeaker
from tests import tiny_onnx
from tests.hub_server import LARGE, HubServer, Repository
from tests.ollama_server import MODEL, OllamaServer
from tests.wine import UNDER_WINE

WERNICKE = "import sys; from wernicke_daemon.cli import main; sys.exit(main())"

WHISPER = "Systran/faster-whisper-large-v3"
ALIGNMENT = "jonatasgrosman/wav2vec2-large-xlsr-53-japanese"
SPEAKERS = "pyannote/speaker-diarization-community-1"
ZIP = b"PK\x05\x06" + bytes(18)
"""The least that is a zip file, which PyTorch's and NumPy's files are."""


def repositories() -> dict[str, Repository]:
    """The needed files, no two alike, among others that nothing reads."""
    whisper = {
        "model.bin": b"weights",
        "vocabulary.json": b'["a"]',
        "preprocessor_config.json": b'{"feature_size": 128}',
    }
    weights = {
        "model.safetensors": (2).to_bytes(8, "little") + b"{}",
        "pytorch_model.bin": ZIP,
        "flax_model.msgpack": b"f",
    }
    speakers = {f"{part}/pytorch_model.bin": ZIP + part.encode() for part in ("segmentation", "embedding")}
    plda = {f"plda/{name}.npz": ZIP + name.encode() for name in ("plda", "xvec_transform")}
    return {
        WHISPER: Repository({"config.json": b"{}", "tokenizer.json": b'{"t": 1}', "README.md": b"?", **whisper}),
        ALIGNMENT: Repository(
            {
                **weights,
                "config.json": b'{"a": 1}',
                "vocab.json": b'{"b": 2}',
                "preprocessor_config.json": b'{"c": 3}',
                "tokenizer_config.json": b'{"d": 4}',
                "language_model/unigrams.txt": b"?",
            }
        ),
        SPEAKERS: Repository({"config.yaml": b"segmentation: $model/segmentation", **speakers, **plda}, gated=True),
    }


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer(repositories()) as server:
        yield server


class Machine:
    """One with a cache and settings of its own. output: of the last command, both streams."""

    def __init__(self, directory: Path, endpoint: str) -> None:
        self.directory = directory
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))},
            "HF_HOME": str(directory / "cache"),
            "HF_ENDPOINT": endpoint,
            "COLUMNS": "200",
            **({"HF_HUB_DISABLE_SYMLINKS": "1"} if UNDER_WINE else {}),  # it says that it made one, and makes none
        }
        self.output = ""
        self.configure(correction="none")

    def configure(self, correction: str = "none", speakers: str = "pyannote", more: str = "") -> None:
        text = f'[correction]\nengine = "{correction}"\n[diarization]\nengine = "{speakers}"\n{more}'
        (self.directory / "config.toml").write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> int:
        config = ("--config", str(self.directory / "config.toml"), "--profile", "rtx3090")
        ended = subprocess.run(
            [sys.executable, "-c", WERNICKE, "models", *arguments, *config],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=100,
        )
        self.output = ended.stdout
        assert "Traceback" not in self.output
        return ended.returncode

    def is_there(self, name: str) -> bool:
        self.run("list", "--json")
        return {row["name"]: bool(row["present"]) for row in json.loads(self.output)["models"]}[name]

    def folders(self) -> list[Path]:
        assert self.run("where") == 0
        return [Path(line) for line in self.output.splitlines()]


@pytest.fixture
def machine(tmp_path: Path, hub: HubServer) -> Machine:
    return Machine(tmp_path, hub.url)


@pytest.fixture
def accepted(machine: Machine, hub: HubServer) -> Machine:
    """With a token whose account has accepted the licence."""
    machine.environment["HF_TOKEN"] = "hf_good"
    hub.repositories[SPEAKERS].accepted_by.add("hf_good")
    return machine


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_pull_brings_what_is_needed_and_nothing_else(accepted: Machine, hub: HubServer) -> None:
    """From nothing to models that are whole, by every command's word; then nothing is left to fetch."""
    assert accepted.run("list") == 0
    assert "wernicke models pull" in accepted.output
    assert accepted.run("pull") == 0, accepted.output
    needed = {path for one in hub.repositories.values() for path in one.files}
    unread = {"README.md", "flax_model.msgpack", "language_model/unigrams.txt"}
    assert {(one.repository, one.path) for one in hub.fetched} == {
        (name, path)
        for name, one in hub.repositories.items()
        for path in one.files
        if path not in unread and (name, path) != (ALIGNMENT, "pytorch_model.bin")
    }
    assert needed > unread
    assert all(accepted.is_there(name) for name in hub.repositories)
    assert accepted.run("verify") == 0
    assert "5 of 5 files compared" in accepted.output
    assert [(folder / "config.json").is_file() for folder in accepted.folders()] == [True, True, False]
    hub.fetched.clear()
    assert accepted.run("pull") == 0
    assert hub.fetched == []


def test_weights_in_the_older_format(machine: Machine, hub: HubServer) -> None:
    """Fetched where the repository has no other."""
    machine.configure(speakers="onnx")
    del hub.repositories[ALIGNMENT].files["model.safetensors"]
    assert machine.run("pull") == 0
    assert "pytorch_model.bin" in hub.paths()


def test_a_gated_model_without_a_token(machine: Machine, hub: HubServer) -> None:
    """What to accept, where to get a token and where to put it; the other models come all the same."""
    assert machine.run("pull") == 1
    assert f"https://huggingface.co/{SPEAKERS}" in machine.output
    assert "https://huggingface.co/settings/tokens" in machine.output and "HF_TOKEN" in machine.output
    assert "Not fetched, 1 of 3" in machine.output
    assert machine.is_there(WHISPER) and machine.is_there(ALIGNMENT) and not machine.is_there(SPEAKERS)


def test_a_licence_that_was_not_accepted(machine: Machine) -> None:
    """The token is good, its account has not accepted."""
    machine.environment["HF_TOKEN"] = "hf_other"
    assert machine.run("pull") == 1
    assert "has not accepted its licence" in machine.output and f"https://huggingface.co/{SPEAKERS}" in machine.output


def test_a_token_that_is_no_longer_valid(machine: Machine) -> None:
    """It is refused for all models, and never shown."""
    machine.environment["HF_TOKEN"] = "hf_revoked"
    assert machine.run("pull") == 1
    assert "refuses the token" in machine.output and "hf_revoked" not in machine.output


def test_a_hub_that_cannot_be_reached(machine: Machine) -> None:
    """One sentence for each model."""
    machine.environment["HF_ENDPOINT"] = closed_port()
    assert machine.run("pull") == 1
    assert machine.output.count("can't be reached") == 3


def test_what_is_here_needs_no_hub(accepted: Machine) -> None:
    """A pull that finds everything in place is a success without the network too, and without the token."""
    assert accepted.run("pull") == 0
    del accepted.environment["HF_TOKEN"]
    online = dict(accepted.environment)
    for unreachable in ({"HF_ENDPOINT": closed_port()}, {"HTTP_PROXY": closed_port()}):
        accepted.environment = online | unreachable
        assert accepted.run("pull") == 0, accepted.output


@pytest.mark.parametrize("by_option", [True, False])
def test_offline(by_option: bool, machine: Machine, hub: HubServer) -> None:
    """Asks for nothing, and fails only while something is missing."""
    machine.configure(speakers="onnx")
    option = ["--offline"] if by_option else []
    offline = {} if by_option else {"HF_HUB_OFFLINE": "1"}
    online = dict(machine.environment)
    machine.environment = {**online, **offline}
    assert machine.run("pull", *option) == 1
    assert "takes the network" in machine.output and hub.fetched == []
    machine.environment = online
    assert machine.run("pull") == 0
    hub.close()
    machine.environment = {**online, **offline}
    assert machine.run("pull", *option) == 0


def test_a_download_that_breaks_off_goes_on_where_it_was(machine: Machine, hub: HubServer) -> None:
    """The second request asks for the rest only. (The client writes pieces of 10 MiB.)"""
    machine.configure(speakers="onnx")
    whisper = hub.repositories[WHISPER]
    whisper.files["model.bin"] = os.urandom(1024) * 24 * 1024
    whisper.cut["model.bin"] = 1
    assert machine.run("pull") == 0, machine.output
    ranges = [one.range for one in hub.fetched if one.path == "model.bin"]
    assert ranges[0] == "" and ranges[-1].startswith("bytes=1")
    assert machine.run("verify") == 0


def test_a_repository_of_another_kind(machine: Machine, hub: HubServer) -> None:
    """Such as a Whisper model that is not for CTranslate2."""
    machine.configure(speakers="onnx", more='[asr]\nmodel = "other/whisper"\n')
    hub.repositories["other/whisper"] = Repository({"config.json": b"{}", "model.safetensors": b"?"})
    assert machine.run("pull") == 1
    assert "the repository has no model.bin" in machine.output


def test_a_name_that_the_hub_does_not_know(machine: Machine) -> None:
    """Such as one that is misspelt."""
    machine.configure(speakers="onnx", more='[asr]\nmodel = "nobody/nothing"\n')
    assert machine.run("pull") == 1
    assert "no such repository" in machine.output and "nobody/nothing" in machine.output


def test_content_that_is_not_what_the_hub_announced(machine: Machine, hub: HubServer) -> None:
    """`verify` finds it by the hash, and says what to do; after that all is well."""
    machine.configure(speakers="onnx")
    hub.repositories[WHISPER].damaged.add("model.bin")
    assert machine.run("pull") == 0
    assert machine.run("verify") == 1
    assert "model.bin is not what the hub has" in machine.output and "wernicke models pull" in machine.output
    folder = machine.folders()[0].parents[1]
    assert f"delete {folder}" in (machine.run("verify"), machine.output)[1]


@pytest.mark.parametrize("damaged", [False, True])
def test_a_cache_without_links(damaged: bool, machine: Machine, hub: HubServer) -> None:
    """As on Windows: the hub is asked for the hashes; where it can't be, that they were not compared is said."""
    machine.configure(speakers="onnx")
    assert machine.run("pull") == 0
    for path in [path for folder in machine.folders() for path in folder.iterdir()]:
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(bytes(len(content)) if damaged and path.name.endswith(LARGE) else content)
    assert machine.run("verify") == int(damaged)
    assert ("is not what the hub has" in machine.output) is damaged
    assert damaged or machine.run("verify", "--offline") == 0
    assert damaged or "0 of 5 files compared" in machine.output


def test_whisper_in_a_directory_of_ones_own(machine: Machine, hub: HubServer) -> None:
    """It is used where it lies; the hub is not asked for it."""
    own = machine.directory / "own"
    own.mkdir()
    for path, content in hub.repositories[WHISPER].files.items():
        (own / path).write_bytes(content)
    machine.configure(speakers="onnx", more=f"[asr]\nmodel = '{own}'\n")
    assert machine.run("pull") == 0
    assert WHISPER not in {one.repository for one in hub.fetched}
    assert machine.folders()[0] == own
    (own / "model.bin").unlink()
    assert machine.run("verify") == 1 and "lacks model.bin" in machine.output


DIARIZED = """
import json, sys
import numpy as np
from ipc.settings import DiarizationSettings, StageSettings
from stages.diarization.onnx import OnnxDiarization
from tests.tiny_onnx import HIGH, LOW, voice

engine = OnnxDiarization("diarization", StageSettings(diarization=DiarizationSettings(onnx_model="large")))
engine.load()
engine.warm_up()
both = voice(LOW, 2) + voice(HIGH, 2)
pause = np.random.default_rng(1).standard_normal(16_000).astype(np.float32) * 0.003
found = engine.diarize(np.concatenate([pause, voice(LOW, 4), pause, voice(HIGH, 4), both, pause, voice(LOW, 3)]))
pieces = [(piece.speaker, piece.start, piece.end, piece.seconds, piece.embedding) for piece in found.pieces]
print(json.dumps([engine.model, found.same_voice, pieces]))
"""


def test_the_larger_models_that_tell_speakers_apart(machine: Machine, hub: HubServer) -> None:
    """Without a token they are fetched, found by the engine, and heard right: sets of speakers by frame, so that speech
    over other speech is known, and embeddings of 80 mel bands, from which who comes back is known again."""
    repositories = dict(ONNX_SPEAKERS.values())
    tiny = {"segmentation": tiny_onnx.segmentation(), "encoder": tiny_onnx.encoder()}
    for part, (repository, file) in ONNX_SPEAKERS.items():
        hub.repositories[repository] = Repository({file: tiny[part], "README.md": b"?"})
    machine.configure(speakers="onnx", more='onnx_model = "large"\n')
    assert machine.run("pull") == 0, machine.output
    assert {(one.repository, one.path) for one in hub.fetched} >= set(repositories.items())
    assert all(machine.is_there(repository) for repository in repositories)
    ended = subprocess.run(
        [sys.executable, "-c", DIARIZED], env=machine.environment, stdout=subprocess.PIPE, text=True, timeout=100
    )
    model, same_voice, pieces = json.loads(ended.stdout)
    assert (model, same_voice) == ("onnx-large", WeSpeaker.alike.same_voice)
    assert [speaker for speaker, *_ in pieces] == [0, 1, 0, 0]
    edges = [edge for _, *times, _, _ in pieces for edge in times]
    assert edges == pytest.approx([1.0, 5.0, 6.0, 10.0, 10.0, 12.0, 13.0, 16.0], abs=0.15)
    seconds, voices = [piece[3] for piece in pieces], np.array([piece[4] for piece in pieces])
    assert seconds == pytest.approx([4.0, 4.0, 0.5, 3.0], abs=0.2)
    assert voices.shape == (4, 256)
    assert voices[0] @ voices[3] > 0.95 and voices[0] @ voices[1] < 0.3


def test_the_language_model(machine: Machine) -> None:
    """Ollama pulls it; its library may not have it; it may not run at all."""
    machine.configure(correction="ollama", speakers="onnx")
    with OllamaServer(models=()) as ollama:
        machine.configure("ollama", "onnx", f'[llm]\nhost = "{ollama.url}"\n')
        assert not machine.is_there(MODEL)
        assert machine.run("pull") == 0, machine.output
        assert ollama.models == [MODEL] and machine.is_there(MODEL)
        machine.configure("ollama", "onnx", f'[llm]\nhost = "{ollama.url}"\nmodel = "nonsense:1b"\n')
        assert machine.run("pull") == 1
        assert "no model nonsense:1b" in machine.output
    machine.configure("ollama", "onnx", f'[llm]\nhost = "{ollama.url}"\n')
    assert machine.run("pull") == 1
    assert "no Ollama server answers" in machine.output and "start it" in machine.output
