"""What must be right before the first run, judged from facts. Pure: `facts` looks them up."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ipc import arena, dll, gpu
from ipc.messages import STAGES, StageName
from wernicke_daemon.config.schema import Config
from wernicke_daemon.hardware import budget, profiles
from wernicke_daemon.models.catalog import Model
from wernicke_daemon.wire.listening import Trouble

Fact = dict[str, Any] | None
"""What `stages.process.probe` says of one part: None where there is no such thing. Where it failed there is `error`
alone, with `fix` if it is known what to do."""


class Check(NamedTuple):
    """name: of what was looked at. finding: what was found. fix: what to do; "" where nothing needs doing."""

    name: str
    ok: bool
    finding: str
    fix: str = ""


OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
"""The newest is whisperx's."""
OLDEST_DRIVER = {"win32": (527, 41), "linux": (525, 60)}
"""Of CUDA 12 (NVIDIA's release notes, minor version compatibility)."""
MIB = 1024 * 1024
COLD_LOAD_S = 300.0
"""What a large language model may take from a slow disk."""
ASIDE_S = 10.0
"""What a correction job may take besides its requests: the server is asked for its state first."""
GPU_PACKAGES = 'uv pip install --torch-backend=auto ".[gpu]"'
CUDA_BUILD = f"{GPU_PACKAGES} --reinstall-package torch --reinstall-package torchaudio"
"""With our requirements, so that the versions fit; torch alone would be installed in its newest."""
DRIVERS = "https://www.nvidia.com/drivers"


def python(version: tuple[int, int], bits: int) -> Check:
    finding = f"{version[0]}.{version[1]}, {bits} bit"
    ok = OLDEST_PYTHON <= version <= NEWEST_PYTHON and bits == 64
    return Check("Python", ok, finding, "" if ok else "install Python 3.11, 3.12 or 3.13 for 64 bit")


def packages(problems: Sequence[str], checked: int, gpu: bool) -> Check:
    """problems: one short sentence each. gpu: whether those of the extra `gpu` were among the checked ones."""
    if not problems:
        return Check("packages", True, f"{checked} packages fit together")
    return Check("packages", False, "; ".join(problems), GPU_PACKAGES if gpu else "pip install .")


def vc_runtime(version: tuple[int, int] | None) -> Check:
    """version: of the MSVCP140.dll that libraries get; None where there is none."""
    name, oldest = "Visual C++ runtime", dll.OLDEST_VC_RUNTIME
    if version is None:
        return Check(name, False, "MSVCP140.dll is not there", dll.INSTALL)
    ok = version >= oldest
    finding = f"{version[0]}.{version[1]}" + ("" if ok else f", {oldest[0]}.{oldest[1]} or newer needed")
    return Check(name, ok, finding, "" if ok else dll.INSTALL)


# --- the graphics card -----------------------------------------------------------------------------


def uses_card(config: Config, device: str) -> bool:
    """Whether an engine with that device setting is meant to run on the card. config: with its profile applied."""
    return device == "cuda" or (device == "auto" and config.runtime.profile in profiles.OF_CARDS)


def recognises_on_card(config: Config) -> bool:
    return config.asr.engine != "pocketsphinx" and uses_card(config, config.asr.device)


def torch_devices(config: Config) -> list[str]:
    """The device settings of the engines that run on PyTorch."""
    aligned, speakers = config.alignment, config.diarization
    return [
        *([aligned.device] if aligned.engine == "whisperx" else []),
        *([speakers.device] if speakers.engine == "pyannote" else []),
    ]


def driver(card: Fact, config: Config, platform: str) -> Check:
    if card is None:
        return _no_card("driver", config)
    version = str(card["driver"])
    oldest = OLDEST_DRIVER.get(platform, (0, 0))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    ok = numbers >= oldest
    fix = "" if ok else f"install a newer driver from {DRIVERS}: at least {oldest[0]}.{oldest[1]}"
    return Check("driver", ok, f"{version}, {card['name']}", fix)


def memory(card: Fact, config: Config, held_mib: int, number: int = 0) -> Check:
    """held_mib: what Ollama has loaded of our model already. number: of the card, as nvidia-smi has it."""
    needed, least = budget.total(config, number), budget.least(config, number)
    name = f"GPU memory of cuda:{number}" if number else "GPU memory"
    if card is None:
        return _no_card(name, config)
    free = card["free_mib"] + held_mib
    unknown = [need.what for need in budget.needs(config) if need.mib is None and need.card == number]
    finding = f"{free} MiB free for our models, {needed} needed"
    finding += f" (not counting {', '.join(unknown)}, whose size is not known)" if unknown else ""
    if free >= needed:
        return Check(name, True, finding)
    if free >= least:
        return Check(name, True, f"{finding}; Whisper will run in a smaller type", "end what else uses the card")
    return Check(name, False, finding, "end what else uses the card, or choose smaller models in config.toml")


def replicas(config: Config, cards: int) -> Check:
    """How many of each stage, and on what. cards: how many there are. Not well where one is meant for another."""
    devices = {stage: _devices(config, stage) for stage in STAGES}
    finding = "; ".join(
        f"{config.ray.actors(stage)} of {stage} on Ray"
        if config.ray.actors(stage)
        else f"{len(config.devices(stage))} of {stage}" + (f" ({', '.join(those)})" if those else "")
        for stage, those in devices.items()
    )
    named = {device for those in devices.values() for device in those if ":" in device}
    missing = {device for device in named if (gpu.number(device) or 0) >= cards}
    if missing:
        there = ", ".join(f"cuda:{number}" for number in range(cards)) or "none"
        fix = f"correct the devices in config.toml (the cards that answer: {there}); the others serve without it"
        return Check("replicas", False, f"{finding}; there is no {', '.join(sorted(missing))}", fix)
    if config.replicas.correction > 1 and config.correction.engine != "none":
        finding += f"; Ollama has to be started with OLLAMA_NUM_PARALLEL={config.replicas.correction} or more"
    return Check("replicas", True, finding)


def _devices(config: Config, stage: StageName) -> list[str]:
    """Of each of its replicas, where it has a model to put somewhere."""
    own = {"asr": config.asr.device, "diarization": config.diarization.device}.get(stage)
    return [] if own is None else [device or own for device in config.devices(stage)]


def node(found: Mapping[str, Any], version: str, profile: str) -> Check:
    """Of a Ray cluster. found: of `wernicke_daemon.cluster.examine`. version: of this package here. profile: in use."""
    name = f"Ray node {found['name']}"
    if "problem" in found:
        return Check(name, False, found["problem"], found["fix"])
    finding = f"wernicke-daemon {found['version']}, Python {found['python']}, {', '.join(found['cards']) or 'no card'}"
    if found["version"] != version:
        return Check(name, False, f"{finding}; here is {version}", f"install wernicke-daemon {version} there")
    if found["missing"]:
        fix = f"run `wernicke models pull --profile {profile}` there"
        return Check(name, False, f"{finding}; it lacks {'; '.join(found['missing'])}", fix)
    return Check(name, True, f"{finding}, and the models")


def cublas(fact: Fact, config: Config) -> Check:
    if not recognises_on_card(config):
        return Check("cuBLAS", True, "not needed: speech is not recognised on a graphics card")
    if fact is None:
        return _no_card("cuBLAS", config)
    if "error" in fact:
        return Check("cuBLAS", False, fact["error"], "pip install nvidia-cublas-cu12")
    return Check("cuBLAS", True, f"{fact['library']}, {fact['found']}")


def ctranslate2(fact: Fact, config: Config) -> Check:
    if fact is None or "error" in fact:
        return _not_there("CTranslate2", fact, "pip install --force-reinstall ctranslate2")
    finding = f"{fact['version']}, {fact['devices']} CUDA devices"
    if fact["devices"]:
        finding += f", types {', '.join(fact['compute_types'])}"
    ok = bool(fact["devices"]) or not recognises_on_card(config)
    return Check("CTranslate2", ok, finding, "" if ok else f"install a newer driver from {DRIVERS} and restart")


def torch(fact: Fact, config: Config) -> Check:
    devices = torch_devices(config)
    if not devices:
        return Check("PyTorch", True, f"the profile {config.runtime.profile} needs none")
    if fact is None or "error" in fact:
        return _not_there("PyTorch", fact, GPU_PACKAGES)
    on_card = any(uses_card(config, device) for device in devices)
    if fact["cuda"] is None and on_card:
        return Check("PyTorch", False, f"{fact['version']} is a build without CUDA", CUDA_BUILD)
    device = fact["device"] or "no CUDA device"
    ok = bool(fact["available"]) or not on_card
    fix = "" if ok else f"install a newer driver from {DRIVERS} and restart"
    return Check("PyTorch", ok, f"{fact['version']} for CUDA {fact['cuda']}, {device}", fix)


def _not_there(name: str, fact: Fact, install: str) -> Check:
    if fact is None:
        return Check(name, False, "it is not installed", install)
    return Check(name, False, fact["error"], fact.get("fix", install))


def _no_card(name: str, config: Config) -> Check:
    profile = config.runtime.profile
    if recognises_on_card(config) or any(uses_card(config, device) for device in torch_devices(config)):
        fix = f'install the NVIDIA driver from {DRIVERS} and restart, or set runtime.profile = "cpu"'
        return Check(name, False, f"no NVIDIA card answers; the profile {profile} needs one", fix)
    return Check(name, True, f"no NVIDIA card; the profile {profile} needs none")


# --- models and Ollama -----------------------------------------------------------------------------


def model(one: Model, absence: str) -> Check:
    """absence: why it can't be used; "" where it is there."""
    name = f"model for {one.purpose}"
    if not absence:
        return Check(name, True, f"{one.name} is there")
    if one.instead:
        return Check(name, True, f"{one.name} is not there; {one.instead} instead", absence)
    return Check(name, False, f"{one.name} is not there", absence)


def token(gated_missing: Sequence[str], has_token: bool, hub: str, tokens: str) -> Check:
    """gated_missing: names of models that are not here and may ask for a licence."""
    name = "Hugging Face token"
    if not gated_missing:
        return Check(name, True, "not needed: no model with a licence to accept is missing")
    pages = ", ".join(f"{hub}/{one}" for one in gated_missing)
    if has_token:
        return Check(name, True, "there is one; the licences show when models are pulled", f"accept them at {pages}")
    fix = f"accept the licences at {pages}, make a token at {tokens} and put it into HF_TOKEN"
    return Check(name, False, "there is none", fix)


def ollama(config: Config, problem: str) -> Check:
    """problem: why the server does not answer; "" where it does."""
    engine, host = config.correction.engine, config.llm.host
    if engine == "none":
        return Check("Ollama", True, 'not needed: correction.engine is "none"')
    if not problem:
        return Check("Ollama", True, f"answers at {host}")
    if engine == "auto":
        return Check("Ollama", True, f"no answer at {host}; texts stay as they were recognised", problem)
    return Check("Ollama", False, f"no answer at {host}", problem)


def placement(size: int, size_vram: int, card: bool) -> Check:
    """Bytes of the loaded language model, and those on the card; 0 where it is not loaded. card: whether there is
    one."""
    name = "language model on the card"
    if not size:
        return Check(name, True, "not loaded yet")
    if not card and not size_vram:
        return Check(name, True, f"{size // MIB} MiB on the CPU; no NVIDIA card here")
    if size_vram >= size:
        return Check(name, True, f"all of it, {size // MIB} MiB")
    finding = f"{size_vram // MIB} of {size // MIB} MiB; the rest is on the CPU, which is slow"
    return Check(name, False, finding, "free GPU memory and restart Ollama, or choose a smaller llm.model")


# --- the machine -----------------------------------------------------------------------------------


def port(number: int, trouble: Trouble | None, ours: bool, name: str = "port") -> Check:
    """trouble: why it can't be listened on. ours: whether a daemon of this kind answers there. name: of the check."""
    if ours:
        return Check(name, True, f"{number} is in use by the daemon, which is running")
    if trouble is None:
        return Check(name, True, f"{number} is free" if number else "any free one is taken")
    return Check(name, False, trouble.why, trouble.fix)


def shared_memory(config: Config, size: int | None) -> Check:
    """size: bytes of /dev/shm; None on systems without it."""
    if size is None:
        return Check("shared memory", True, "not limited on this system")
    needed = arena.size_bytes(config.rings, config.audio.ring_samples)
    finding = f"/dev/shm has {size // MIB} MiB, {needed // MIB} needed"
    fix = "enlarge /dev/shm (of a container: --shm-size), or lower max_connections or audio.ring_seconds"
    return Check("shared memory", size >= needed, finding, "" if size >= needed else fix)


def data_directory(path: str, problem: str) -> Check:
    """problem: why nothing can be written there."""
    fix = "" if not problem else "mend its permissions, or set another runtime.data_dir"
    return Check("data directory", not problem, f"{path}{': ' if problem else ' can be written'}{problem}", fix)


def disk_space(config: Config, free: int) -> Check:
    """free: bytes on the disk of the data directory. Transcripts are small beside the journal and the log."""
    log = config.logging.max_mib * (config.logging.backups + 1)
    needed = log + (config.journal.max_mib if config.store.enabled and config.journal.enabled else 0)
    ok = free >= needed * MIB
    fix = "" if ok else "free some space, set another runtime.data_dir, or lower journal.max_mib"
    return Check("disk space", ok, f"{free // MIB} MiB free, {needed} needed for journal and log", fix)


def time_outs(config: Config) -> Check:
    llm, runtime = config.llm, config.runtime
    if config.correction.engine == "none":
        return Check("time-outs", True, "fit together")
    wrong = []
    if llm.load_timeout_s >= runtime.load_timeout_s:
        wrong.append(
            "runtime.load_timeout_s must be longer than llm.load_timeout_s, or the stage is replaced meanwhile"
        )
    if llm.load_timeout_s < COLD_LOAD_S:
        wrong.append(f"llm.load_timeout_s should be at least {COLD_LOAD_S:g}: a load given up begins anew")
    if llm.timeout_s + ASIDE_S > runtime.job_timeout_s:
        wrong.append(
            f"runtime.job_timeout_s must exceed llm.timeout_s by {ASIDE_S:g} s, or the stage is replaced meanwhile"
        )
    return Check("time-outs", not wrong, "do not fit together" if wrong else "fit together", "; ".join(wrong))


def microphone() -> Check:
    return Check("microphone", True, "not needed: clients send the sound")
