"""What this machine is, and so which profile it runs."""

from typing import Any

from ipc import event_loop, gpu
from wernicke_daemon.config.schema import Config
from wernicke_daemon.hardware import profiles
from wernicke_daemon.hardware.profiles import ProfileChoice
from wernicke_daemon.models import ollama_placement, presence


def resolved(config: Config) -> tuple[Config, ProfileChoice]:
    """The settings to run with, and how their profile was chosen. Raises ConfigError where the card has no room."""
    card = gpu.figures()
    choice = profiles.choose(config, card, _loaded(config, card))
    return _with_what_is_here(profiles.applied(config, choice.profile), choice)


def _with_what_is_here(config: Config, choice: ProfileChoice) -> tuple[Config, ProfileChoice]:
    if not presence.stands_in(config):
        return config, choice
    why = f"{choice.why}; Whisper base, as {config.asr.model} is not here (`wernicke models pull` brings it)"
    return presence.with_stand_in(config), choice._replace(why=why)


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
