"""How the boot record reaches a stage process: through its stdin, its length first.

What is in it is `ipc.channels.Boot`. This file imports nothing but the standard library: it is used before anything
else is imported (see `ipc.parent_watch.read_boot`).
"""

import struct
from typing import BinaryIO

_LENGTH = struct.Struct(">I")


def framed(record: bytes) -> bytes:
    """What is written: the length of the record in bytes (big-endian, 32 bits), and the record."""
    return _LENGTH.pack(len(record)) + record


def read(stream: BinaryIO) -> bytes | None:
    """The record; None where the stream ended before it was whole."""
    length = stream.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(length)
    record = stream.read(size)
    return record if len(record) == size else None
