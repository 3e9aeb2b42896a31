"""Results as they are on disk. One that is damaged must not keep the others from being read: it is passed over. The
search index, which comes by every one, tells of it in the log."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

T = TypeVar("T")


def readable(decoder: "msgspec.json.Decoder[T]", messages: Iterable[str]) -> list[T]:
    """Those that are messages, in order."""
    return [message for each in messages if (message := read(decoder, each)) is not None]


def read(decoder: "msgspec.json.Decoder[T]", message: str) -> T | None:
    """None where it is no such message."""
    try:
        return decoder.decode(message)
    except msgspec.DecodeError:
        return None
