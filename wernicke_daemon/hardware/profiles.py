"""Which engines and models a machine gets: a profile is a set of settings for a kind of machine. Pure.

A profile sets what was left at its default; what the user has set otherwise stands. Only `embedded` overrules the user,
as it must run on any machine.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from wernicke_daemon.config.schema import Config, Profile
from wernicke_daemon.config.typed_toml import ConfigError
from wernicke_daemon.hardware import budget

Settings = dict[str, dict[str, Any]]
NOTHING: Mapping[str, int] = {}

PROFILES: dict[Profile, Settings] = {
    "rtx3090": {
        "asr": {"engine": "faster_whisper", "device": "cuda"},
        "alignment": {"engine": "whisperx", "device": "cuda"},
        "diarization": {"engine": "pyannote", "device": "cuda"},
        "correction": {"engine": "ollama"},
    },
    "small-gpu": {
        "asr": {
            "engine": "faster_whisper",
            "model": "large-v3-turbo",
            "device": "cuda",
            "compute_type": "int8_float16",
        },
        "alignment": {"engine": "whisper"},
        "diarization": {"engine": "pyannote", "device": "cuda"},
        "correction": {"engine": "ollama"},
        "llm": {"model": "qwen2.5:3b-instruct-q4_0"},
    },
    "cpu": {
        "asr": {"model": "small", "device": "cpu", "compute_type": "int8"},
        "alignment": {"engine": "whisper"},
        "diarization": {"engine": "onnx"},
        "llm": {"model": "qwen2.5:3b-instruct-q4_0"},
    },
    "embedded": {
        "asr": {"engine": "pocketsphinx", "language": "en"},
        "alignment": {"engine": "whisper"},
        "diarization": {"engine": "onnx"},
        "correction": {"engine": "none"},
    },
}
"""By section. rtx3090 has the defaults' models, which were chosen for 24 GB. With "cuda", a build of PyTorch
without CUDA refuses to start; with "auto" it would use the CPU without a word. On a CPU alignment and pyannote may take
longer than the speech itself."""

BY_CARD: tuple[tuple[Profile, int], ...] = (("rtx3090", 16_000), ("small-gpu", 6_000))
"""Best first, with the memory in MiB from which a card is tried with it ("16 GB" cards have a little less)."""

OF_CARDS = frozenset(profile for profile, _ in BY_CARD)
"""The profiles that need a graphics card."""


class ProfileChoice(NamedTuple):
    """why: one line for log and console."""

    profile: Profile
    why: str


def applied(config: Config, profile: Profile) -> Config:
    """`config` with what the profile says of settings that are at their default; those of `embedded` in any case."""
    for section, settings in PROFILES.get(profile, {}).items():
        current, default = getattr(config, section), getattr(Config(), section)
        free = {
            name: value
            for name, value in settings.items()
            if profile == "embedded" or getattr(current, name) == getattr(default, name)
        }
        config = replace(config, **{section: replace(current, **free)})
    return replace(config, runtime=replace(config.runtime, profile=profile))


def choose(config: Config, cards: Sequence[dict[str, Any]], loaded: Mapping[str, int] = NOTHING) -> ProfileChoice:
    """The profile to run with: by the first card, and by what is free of all that it would use. cards: of `gpu.cards`.
    loaded: of `ollama_placement.held`; a profile has its model.

    Raises ConfigError where config.toml names a profile that this card has no room for.
    """
    wanted = config.runtime.profile
    if wanted != "auto":
        return ProfileChoice(wanted, _as_configured(config, wanted, cards, loaded))
    if not cards:
        return ProfileChoice("cpu", "no NVIDIA card was found")
    card = cards[0]
    refused: list[str] = []
    for profile, least_mib in BY_CARD:
        if card["total_mib"] < least_mib:
            refused.append(f"{profile} is for cards with {least_mib} MiB and more")
        elif problem := _shortage(applied(config, profile), cards, loaded):
            refused.append(f"{profile} needs {problem}")
        else:
            return ProfileChoice(profile, _why(card, refused))
    return ProfileChoice("cpu", _why(card, refused))


def _as_configured(config: Config, profile: Profile, cards: Sequence[dict[str, Any]], loaded: Mapping[str, int]) -> str:
    if profile not in OF_CARDS or not budget.cards(applied(config, profile)):
        return "as configured"
    if not cards:
        raise ConfigError(
            f'runtime.profile is "{profile}" but no NVIDIA card was found: install its driver, or set it to "auto"'
        )
    problem = _shortage(applied(config, profile), cards, loaded)
    if problem:
        raise ConfigError(
            f'runtime.profile is "{profile}", which needs {problem}: end what else uses the card, choose smaller '
            'models, or set it to "auto"'
        )
    return f"as configured; {cards[0]['name']}, {cards[0]['free_mib']} MiB free"


def _shortage(config: Config, cards: Sequence[dict[str, Any]], loaded: Mapping[str, int]) -> str:
    """Of the first card that lacks some; empty where it all fits, with the smallest type in which Whisper can be had. A
    card that is not there lacks nothing: its replicas are left out at the start."""
    for number, card in enumerate(cards):
        needed, free = budget.least(config, number), card["free_mib"]
        free += budget.held(config, loaded) if number == 0 else 0
        if needed > free:
            which = f" (cuda:{number})" if len(cards) > 1 else ""
            return f"{needed} MiB and {free} MiB are free on the {card['name']}{which}"
    return ""


def _why(card: dict[str, Any], refused: Sequence[str]) -> str:
    return "; ".join((f"{card['name']} with {card['free_mib']} of {card['total_mib']} MiB free", *refused))
