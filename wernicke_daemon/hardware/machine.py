"""What this machine is, and so which profile it runs."""

from typing import Any

from ipc import event_loop, gpu
from wernicke_daemon.config.schema import Config
from wernicke_daemon.hardware import profiles
from wernicke_daemon.hardware.profiles import ProfileChoice
from wernicke_daemon.models import ollama_placement


def resolved(config: Config) -> tuple[Config, ProfileChoice]:
    """The settings to run with, and how their profile was chosen. Raises ConfigError where the card has no room."""
    card = gpu.figures()
    choice = profiles.choose(config, card, _loaded(config, card))
    return profiles.applied(config, choice.profile), choice


def planned(config: Config) -> Config:
    """The settings to run with once nothing else is on the card, which may be in use right now, by the daemon too."""
    if config.runtime.profile != "auto":
        return profiles.applied(config, config.runtime.profile)
    return profiles.applied(config, profiles.choose(config, emptied(gpu.figures())).profile)


def emptied(card: dict[str, Any] | None) -> dict[str, Any] | None:
    """As if all of the card were free. card: of `gpu.figures`."""
    return None if card is None else {**card, "free_mib": card["total_mib"]}


def _loaded(config: Config, card: dict[str, Any] | None) -> dict[str, int]:
    if card is None or config.correction.engine == "none":
        return {}
    return event_loop.run(ollama_placement.held(config.llm.host))
