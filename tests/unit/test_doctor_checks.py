"""What the doctor makes of facts: machines that are not at hand, seen through what they would say."""

import sys
from typing import Any

import pytest
from msgspec.structs import replace

from ipc.arena import Arena
from wernicke_daemon.config.schema import AudioSettings, Config, ReplicasSettings
from wernicke_daemon.doctor import checks
from wernicke_daemon.doctor.checks import Check
from wernicke_daemon.doctor.facts import SHARED_MEMORY
from wernicke_daemon.hardware import budget
from wernicke_daemon.hardware.profiles import applied
from wernicke_daemon.models.catalog import Model
from wernicke_daemon.wire.listening import Trouble

LARGE = applied(Config(), "rtx3090")
CPU = applied(Config(), "cpu")
CARD = {"name": "RTX 3090", "driver": "570.133.07", "total_mib": 24_576, "free_mib": 23_000}
TORCH = {"version": "2.8.0+cu128", "cuda": "12.8", "available": True, "device": "RTX 3090"}
CT2 = {"version": "4.8.5", "devices": 1, "compute_types": ["float16", "int8"]}
MIB = checks.MIB


@pytest.mark.parametrize(
    ("version", "bits", "ok"),
    [((3, 11), 64, True), ((3, 13), 64, True), ((3, 10), 64, False), ((3, 14), 64, False), ((3, 12), 32, False)],
)
def test_python(version: tuple[int, int], bits: int, ok: bool) -> None:
    """3.11 to 3.13, 64 bit."""
    check = checks.python(version, bits)
    assert check.ok is ok and bool(check.fix) is not ok


def test_a_large_card_with_everything() -> None:
    """Nothing needs doing."""
    found = [
        checks.driver(CARD, LARGE, "win32"),
        checks.memory(CARD, LARGE, 0),
        checks.cublas({"library": "cublas64_12.dll", "found": "C:"}, LARGE),
        checks.ctranslate2(CT2, LARGE),
        checks.torch(TORCH, LARGE),
    ]
    assert all(check.ok and not check.fix for check in found)


def test_a_machine_without_a_card_that_needs_none() -> None:
    """All is right, and said to be so because of the profile."""
    found = [checks.driver(None, CPU, "linux"), checks.memory(None, CPU, 0)]
    assert {(check.ok, check.finding) for check in found} == {(True, "no NVIDIA card; the profile cpu needs none")}
    assert checks.cublas({"error": "no"}, CPU).ok
    assert checks.ctranslate2({**CT2, "devices": 0}, CPU).ok and checks.torch(None, CPU).ok


def test_recognition_on_the_cpu_beside_a_card() -> None:
    """cuBLAS is not missed, and the card that is there is not said to be missing."""
    config = replace(LARGE, asr=replace(LARGE.asr, device="cpu"))
    check = checks.cublas({"error": "no"}, config)
    assert check.ok and "not needed" in check.finding


@pytest.mark.parametrize(
    ("check", "fix"),
    [
        (checks.driver(None, LARGE, "linux"), "install the NVIDIA driver"),
        (checks.driver({**CARD, "driver": "516.94"}, LARGE, "win32"), "at least 527.41"),
        (checks.driver({**CARD, "driver": "525.60.13"}, LARGE, "win32"), "at least 527.41"),
        (checks.memory(None, LARGE, 0), "install the NVIDIA driver"),
        (checks.memory({**CARD, "free_mib": 9000}, LARGE, 0), "end what else uses the card"),
        (checks.cublas({"error": "cublas64_12.dll not found"}, LARGE), "nvidia-cublas-cu12"),
        (checks.ctranslate2({**CT2, "devices": 0}, LARGE), "newer driver"),
        (checks.ctranslate2({"error": "DLL load failed"}, CPU), "reinstall ctranslate2"),
        (checks.ctranslate2({"error": "DLL load failed", "fix": "winget"}, CPU), "winget"),
        (checks.torch(None, LARGE), "--torch-backend=auto"),
        (checks.torch({"error": "DLL load failed"}, LARGE), "--torch-backend=auto"),
        (
            checks.torch({**TORCH, "cuda": None, "available": False, "device": None}, LARGE),
            '".[gpu]" --reinstall-package torch',
        ),
        (checks.torch({**TORCH, "available": False, "device": None}, LARGE), "newer driver"),
        (checks.packages(["torch is 2.9.0, not <2.9"], 20, gpu=True), ".[gpu]"),
        (checks.port(8000, Trouble("port 8000 is in use", "take another port"), ours=False), "another port"),
        (checks.shared_memory(Config(), 64 * MIB), "/dev/shm"),
        (checks.data_directory("/x", "Permission denied"), "runtime.data_dir"),
        (checks.disk_space(Config(), 100 * MIB), "journal.max_mib"),
        (checks.token(["pyannote/x"], False, "https://hub", "https://hub/tokens"), "https://hub/pyannote/x"),
        (checks.ollama(LARGE, "no Ollama server answers: start it"), "start it"),
        (checks.placement(10_000 * MIB, 6_000 * MIB, card=True), "smaller llm.model"),
    ],
)
def test_what_is_wrong_has_a_way_out(check: Check, fix: str) -> None:
    """Each fault on its own, with what to do about it."""
    assert not check.ok and fix in check.fix


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit it so")
def test_shared_memory_is_measured_as_it_is_taken() -> None:
    """By the same sum: what an arena of this config takes is enough, a byte less is not."""
    config = replace(Config(), max_connections=1, audio=AudioSettings(ring_seconds=75.0))
    arena = Arena(config.rings, config.audio.ring_samples)
    taken = (SHARED_MEMORY / arena.name).stat().st_size
    arena.close()
    assert checks.shared_memory(config, taken).ok and not checks.shared_memory(config, taken - 1).ok


def test_memory_that_ollama_holds_for_us_counts_as_free() -> None:
    """The model stays loaded when the daemon ends."""
    needed = budget.total(LARGE)
    tight = {**CARD, "free_mib": needed - 10_000}
    assert checks.memory(tight, LARGE, 10_000).ok and not checks.memory(tight, LARGE, 5_000).ok


def test_a_card_that_is_a_little_short() -> None:
    """Whisper steps down to a smaller type: no fault, but advice."""
    check = checks.memory({**CARD, "free_mib": budget.least(LARGE)}, LARGE, 0)
    assert check.ok and "smaller type" in check.finding and check.fix


def test_replicas_are_told_with_their_devices() -> None:
    """A card that is not there is named, with those that are; what Ollama has to be told is said."""
    config = replace(LARGE, replicas=ReplicasSettings(asr=("cuda:0", "cuda:1"), correction=2))
    check = checks.replicas(config, 2)
    assert check.ok and check.finding.startswith(
        "1 of ingest; 2 of asr (cuda:0, cuda:1); 1 of diarization (cuda); 2 of"
    )
    assert "OLLAMA_NUM_PARALLEL=2" in check.finding
    check = checks.replicas(config, 1)
    assert not check.ok and check.finding.endswith("there is no cuda:1") and "answer: cuda:0)" in check.fix
    assert checks.replicas(config, 0).finding.endswith("there is no cuda:0, cuda:1")
    assert checks.replicas(Config(), 0).ok


def test_each_card_is_judged_by_what_it_gets() -> None:
    config = replace(LARGE, replicas=ReplicasSettings(asr=("cuda:0", "cuda:1")))
    check = checks.memory({**CARD, "free_mib": budget.total(config, 1)}, config, 0, 1)
    assert check.ok and check.name == "GPU memory of cuda:1" and not check.fix


def test_a_model_whose_size_is_not_known_is_named() -> None:
    """The figure does not claim to be whole."""
    config = replace(LARGE, llm=replace(LARGE.llm, model="mine:1b"))
    assert "not counting mine:1b" in checks.memory(CARD, config, 0).finding


@pytest.mark.parametrize(
    ("instead", "ok"),
    [("onnx", True), ("", False)],
)
def test_a_missing_model(instead: str, ok: bool) -> None:
    """It is a fault only where nothing runs instead; how to get it is said in any case."""
    check = checks.model(Model("speakers", "a/b", instead=instead), "run pull")
    assert check.ok is ok and check.fix == "run pull" and instead in check.finding


def test_a_token_is_wanted_only_for_what_is_missing() -> None:
    """Nothing is asked of the network: whether the licence is accepted shows at the pull."""
    assert checks.token([], False, "h", "t").ok
    assert checks.token(["a/b"], True, "h", "t").ok


def test_the_daemon_itself_may_hold_the_port() -> None:
    """Then it is not taken by another."""
    assert "is running" in checks.port(8000, Trouble("in use", "end it"), ours=True).finding


def test_a_language_model_in_memory() -> None:
    """Not loaded yet is no fault; nor is a machine without a card."""
    assert checks.placement(0, 0, card=True).finding == "not loaded yet"
    assert checks.placement(100 * MIB, 100 * MIB, card=True).ok and checks.placement(100 * MIB, 0, card=False).ok


@pytest.mark.parametrize(
    ("section", "changes", "ok"),
    [
        ("llm", {}, True),
        ("llm", {"load_timeout_s": 900.0}, False),
        ("llm", {"load_timeout_s": 30.0}, False),
        ("llm", {"timeout_s": 66.0}, False),
    ],
)
def test_time_outs(section: str, changes: dict[str, Any], ok: bool) -> None:
    """The stage must not be replaced while it waits for the language model."""
    config = replace(LARGE, **{section: replace(getattr(LARGE, section), **changes)})
    assert checks.time_outs(config).ok is ok
