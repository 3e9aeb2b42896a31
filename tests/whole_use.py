"""Uses a daemon for everything that it is there for, in `tests.quarantine`. No engine is imported here: what it wrote
would be taken for the daemon's."""

import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.ollama_server import OllamaServer
from tests.process.conftest import serving, stop

WERNICKE = (sys.executable, "-c", "import sys; from wernicke_daemon.cli import main; sys.exit(main())")
REPORTS_WITHIN_S = 12.0
"""onnxruntime 1.32, left alone, reports 9.0 s after its first session."""
LANGUAGE_MODEL = "qwen2.5:3b-instruct-q4_0"
"""Of the profile `cpu`."""
ELSEWHERE = "192.0.2.1"
"""Of a block that belongs to nobody (RFC 5737)."""


def transcribe_with_all_models(work: Path) -> None:
    models = work.parent / "models"
    with OllamaServer([LANGUAGE_MODEL]) as ollama:
        text = f"""
        asr = {{ engine = "faster_whisper", model = "{(models / "whisper").as_posix()}" }}
        alignment = {{ engine = "whisperx", model = "{(models / "wav2vec2").as_posix()}" }}
        diarization = {{ engine = "pyannote", model = "{(models / "pyannote").as_posix()}", deadline_s = 60.0 }}
        correction = {{ engine = "ollama", deadline_s = 60.0 }}
        llm = {{ host = "{ollama.url}" }}
        """
        engines = {"asr": "faster_whisper", "diarization": "pyannote", "correction": "ollama"}
        use_everything(work, text, models / "two.wav", engines, ollama)


def use_everything(work: Path, text: str, audio: Path, engines: dict[str, str], ollama: OllamaServer) -> None:
    """Transcribes twice, reads the results, asks how the daemon is and ends it; each stage has its folder for what
    libraries write. The second time the server sends requests to its language model on to another machine.

    text: of config.toml. engines: those that must be at work."""
    with serving(work, text, profile="cpu") as (process, port):
        ready = time.monotonic()
        url = f"ws://127.0.0.1:{port}/transcribe"
        stages = httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).json()["stages"]
        assert {stage: stages[stage]["engine"] for stage in engines} == engines
        scratch = {path.name for path in (work / "data/scratch").iterdir()}
        assert scratch >= {f"tmp-{stage['pid']}" for stage in stages.values()}
        wernicke("transcribe", str(audio), "--url", url)
        assert ollama.chats()
        ollama.elsewhere, ollama.mode = f"http://{ELSEWHERE}", "redirect"
        wernicke("transcribe", str(audio), "--url", url)
        wernicke("status", "--url", url)
        wernicke("sessions", "--config", "config.toml")
        wernicke("export", "last", "--config", "config.toml")
        time.sleep(max(0.0, ready + REPORTS_WITHIN_S - time.monotonic()))
        assert stop(work).returncode == process.wait(30) == 0
    wernicke("doctor", "--config", "config.toml", "--profile", "cpu", "--json")
    assert f"wanted to reach {ELSEWHERE}" in (work / "data/logs/wernicke.jsonl").read_text("utf-8")


def wernicke(*arguments: str) -> None:
    ended = subprocess.run([*WERNICKE, *arguments], capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
