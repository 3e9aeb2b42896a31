"""`wernicke doctor` as a program on this machine, and its looks at what is hard to come by."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from packaging.requirements import Requirement

from tests.ollama_server import OllamaServer
from tests.process.conftest import ROOT, free_port, serving
from tests.wine import needs_visual_cpp_runtime
from wernicke_daemon.client import Exit
from wernicke_daemon.config.load import parse
from wernicke_daemon.config.schema import Config
from wernicke_daemon.doctor import examination, facts
from wernicke_daemon.wire import tokens

WERNICKE = "import sys; from wernicke_daemon.console_script import main; sys.exit(main())"


def doctor(directory: Path, *options: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """On a machine without models, with those settings, and pages on a port that is free."""
    config = directory / "config.toml"
    config.write_text(f"{text}\n[web]\nport = 0\n", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", WERNICKE, "doctor", "--config", str(config), *options],
        env={**environment, "HF_HOME": str(directory / "cache")},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=100,
    )


def checks(directory: Path, *options: str, text: str = "") -> dict[str, dict[str, Any]]:
    answer = json.loads(doctor(directory, "--json", *options, text=text).stdout)
    assert answer["ok"] == all(check["ok"] for check in answer["checks"])
    assert all(set(check) == {"name", "ok", "finding", "fix"} for check in answer["checks"])
    return {check["name"]: check for check in answer["checks"]}


@needs_visual_cpp_runtime
def test_a_machine_that_is_ready(tmp_path: Path) -> None:
    """The engines that come along need no card and no models: all is right."""
    ended = doctor(tmp_path, "--profile", "embedded", text=f"port = {free_port()}")
    assert ended.returncode == 0, ended.stdout
    assert "All is right." in ended.stdout and "microphone" in ended.stdout and ended.stderr == ""


def test_without_the_visual_cpp_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows none of these packages can be imported then. The doctor says what to do, and so does the daemon."""
    for package in ("soxr", "onnxruntime", "ctranslate2", "kaldi_native_fbank"):
        raises = f"raise ImportError('DLL load failed while importing {package}: Module not found.')"
        (tmp_path / f"{package}.py").write_text(raises, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    found = checks(tmp_path, "--profile", "embedded", text=f"port = {free_port()}")
    assert "winget" in found["CTranslate2"]["fix"]
    options = ["--config", str(tmp_path / "config.toml"), "--profile", "embedded"]
    serve = [sys.executable, "-c", WERNICKE, "serve", *options]
    ended = subprocess.run(serve, capture_output=True, text=True, encoding="utf-8", timeout=100)
    assert ended.returncode == Exit.USAGE and ended.stderr.count("\n") == 1 and "winget" in ended.stderr


def test_what_is_missing_for_a_large_card(tmp_path: Path) -> None:
    """One line for each model, a token, Ollama, each with its way out."""
    found = checks(tmp_path, "--profile", "rtx3090", text=f'[llm]\nhost = "http://127.0.0.1:{free_port()}"\n')
    for name in ("recognition", "times of words", "speakers"):
        check = found[f"model for {name}"]
        assert not check["ok"] and "wernicke models pull" in check["fix"]
    assert "HF_TOKEN" in found["Hugging Face token"]["fix"]
    assert "start it" in found["Ollama"]["fix"]
    assert found["microphone"]["ok"]


@needs_visual_cpp_runtime
def test_the_exit_code_tells(tmp_path: Path) -> None:
    """1 where anything needs doing, with the sentences below the table."""
    ended = doctor(tmp_path, "--profile", "cpu", text='[correction]\nengine = "none"\n')
    assert ended.returncode == 1
    assert "to do, model for recognition: run `wernicke models pull --profile cpu`" in ended.stdout
    assert "1 of " in ended.stdout


def test_a_language_model_that_is_partly_on_the_cpu(tmp_path: Path) -> None:
    """As Ollama reports it while the model is loaded."""
    model = "qwen2.5:3b-instruct-q4_0"
    with OllamaServer([model]) as ollama:
        ollama.loaded[model] = 4096
        ollama.vram_share = 0.5
        text = f'[llm]\nhost = "{ollama.url}"\n[correction]\nengine = "ollama"\n'
        found = checks(tmp_path, "--profile", "cpu", text=text)
        assert found["Ollama"]["ok"] and found["model for correction"]["ok"]
        assert not found["language model on the card"]["ok"]
        ollama.loaded.clear()
        assert checks(tmp_path, text=text)["language model on the card"]["finding"] == "not loaded yet"


def test_the_language_model_is_the_profiles_own(tmp_path: Path) -> None:
    """Not the one that a larger card would get."""
    with OllamaServer() as ollama:
        ollama.loaded["qwen2.5:3b-instruct-q4_0"] = 4096
        ollama.vram_share = 0.5
        found = checks(tmp_path, "--profile", "small-gpu", text=f'[llm]\nhost = "{ollama.url}"\n')
    assert not found["language model on the card"]["ok"]


def test_a_port_in_use_by_another_program(tmp_path: Path) -> None:
    """It is a fault."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        text = f'host = "127.0.0.1"\nport = {other.getsockname()[1]}\n'
        check = checks(tmp_path, "--profile", "embedded", text=text)["port"]
    assert not check["ok"] and "is in use" in check["finding"] and "stop the program" in check["fix"]


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-name.invalid"])
def test_an_address_of_another_machine(tmp_path: Path, host: str) -> None:
    """No program uses it: another address is needed."""
    check = checks(tmp_path, "--profile", "embedded", text=f'host = "{host}"\n')["port"]
    assert not check["ok"] and f"{host} is no address of this machine" in check["finding"]
    assert "--host" in check["fix"] and "stop the program" not in check["fix"]


def test_a_port_in_use_by_the_daemon(tmp_path: Path) -> None:
    """It is none, and what it holds is said to be its own."""
    with serving(tmp_path) as (_, port):
        config = parse(f'host = "127.0.0.1"\nport = {port}\n')
        assert facts.is_daemon(config)
        check = checks(tmp_path, "--profile", "embedded", text=f'host = "127.0.0.1"\nport = {port}\n')["port"]
    assert check["ok"] and "the daemon" in check["finding"]
    assert not facts.is_daemon(config)


def test_a_daemon_that_wants_tokens_is_one_too(tmp_path: Path) -> None:
    """Its page says only how it is, as that of many programs does."""
    security = f'[security]\nclients = ["{tokens.hash_of("token")}"]\n'
    with serving(tmp_path, security) as (_, port):
        config = parse(f'host = "127.0.0.1"\nport = {port}\n{security}')
        assert facts.is_daemon(config)


def test_another_program_with_a_page_about_its_health_is_none(tmp_path: Path) -> None:
    """Whose words are those of many."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "ok"}')

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        assert not facts.is_daemon(parse(f'host = "127.0.0.1"\nport = {other.server_address[1]}\n'))
        other.shutdown()


def test_a_data_directory_that_cannot_be(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "file").touch()
    check = checks(tmp_path, "--profile", "embedded", text='[runtime]\ndata_dir = "file/data"\n')["data directory"]
    assert not check["ok"] and "runtime.data_dir" in check["fix"]


def test_a_card_that_does_not_fit_the_profile(tmp_path: Path) -> None:
    """What would keep the daemon from starting is a finding, and the other checks are made all the same."""
    found = checks(tmp_path, "--profile", "rtx3090")
    if found["driver"]["ok"]:
        pytest.skip("there is a graphics card here")
    assert not found["profile"]["ok"] and "no NVIDIA card" in found["profile"]["finding"]
    assert found["time-outs"]["ok"]


def test_a_driver_that_hangs_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that asks it is given up, and killed."""
    asleep = "import pathlib, os, sys, time\nif 'stages.process.probe' in sys.orig_argv:\n"
    asleep += f"    pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n    time.sleep(600)\n"
    (tmp_path / "sitecustomize.py").write_text(asleep)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="no answer within 5 s"):
        facts.probe(timeout_s=5)  # enough for Python to start, however busy the machine is
    assert time.monotonic() - began < 60
    process = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(process) or psutil.Process(process).wait(10) is not None


def test_a_probe_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """So is anything unforeseen in a check of one's own: nothing ends the round."""

    def hanging() -> dict[str, Any]:
        raise TimeoutError("no answer within 120 s")

    def broken(directory: Path) -> int:
        raise OSError("disk on fire")

    monkeypatch.setattr(facts, "probe", hanging)
    monkeypatch.setattr(facts, "free_space", broken)
    found = {check.name: check for check in examination.examine(Config())}
    assert not found["graphics card"].ok and "no answer within 120 s" in found["graphics card"].finding
    assert not found["machine"].ok and "disk on fire" in found["machine"].finding
    assert found["microphone"].ok


def test_what_the_probe_says() -> None:
    """Each part for itself, with an error or facts; the packages that are installed here are seen."""
    probe = facts.probe()
    assert set(probe) == {"cards", "cublas", "ctranslate2", "torch"}
    assert probe["ctranslate2"]["devices"] >= 0


def test_packages_that_do_not_fit() -> None:
    """Missing, or outside the range; a build's local version does not matter."""
    wanted = [Requirement("numpy>=1"), Requirement("numpy<1"), Requirement("no-such-package>=2")]
    outside, missing = facts.package_problems(wanted)
    assert outside.startswith("numpy is ") and outside.endswith("not <1")
    assert missing == "no-such-package is missing"


def test_the_heavy_packages_are_looked_for_only_where_they_are_needed() -> None:
    """By the package's own metadata."""
    light = {one.name for one in facts.requirements(gpu=False)}
    heavy = {one.name for one in facts.requirements(gpu=True)}
    assert {"whisperx", "torch"} <= heavy - light and "faster-whisper" in light and "pytest" not in heavy
