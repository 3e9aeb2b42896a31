"""The settings in force as a list, for people to read."""

from collections.abc import Iterator
from typing import Any

import msgspec

from wernicke_daemon.config.schema import Config


def listed(config: Config) -> Iterator[tuple[str, Any]]:
    """Each setting by its dotted path, with its value, in the order of `Config`."""
    return leaves(msgspec.to_builtins(config))


def leaves(page: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """What is in it and in the dicts within, each by its dotted path."""
    for name, value in page.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
