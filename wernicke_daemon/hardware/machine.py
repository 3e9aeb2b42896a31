"""What this machine is, and so which profile it runs."""

from collections.abc import Sequence
from typing import Any

from ipc import event_loop, gpu
from wernicke_daemon.config.schema import Config
from wernicke_daemon.hardware import profiles
from wernicke_daemon.hardware.profiles import ProfileChoice
from wernicke_daemon.models import ollama_placement, presence


def resolved(config: Config) -> tuple[Config, ProfileChoice]:
    """The settings to run with, and how their profile was chosen. Raises ConfigError where the card has no room."""
    cards = gpu.cards()
    choice = profiles.choose(config, cards, _loaded(config, bool(cards)))
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
    return profiles.applied(config, profiles.choose(config, emptied(gpu.cards())).profile)


def emptied(cards: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """As if all of them were free. cards: of `gpu.cards`."""
    return [{**card, "free_mib": card["total_mib"]} for card in cards]


def _loaded(config: Config, has_card: bool) -> dict[str, int]:
    if not has_card or config.correction.engine == "none":
        return {}
    return event_loop.run(ollama_placement.held(config.llm.host))
