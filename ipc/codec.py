"""msgpack for messages: the one place where bytes from a socket become objects. Nothing is ever unpickled."""

from typing import TypeVar

import msgspec

from ipc.messages import FromStage, Incoming, Job, Message, ToStage

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Limit put on every socket; the largest real message (30 s of word times) is under 100 KiB."""

_encoder = msgspec.msgpack.Encoder()
_job = msgspec.msgpack.Decoder(Job)
_incoming: msgspec.msgpack.Decoder[Incoming] = msgspec.msgpack.Decoder(Incoming)
_to_stage: msgspec.msgpack.Decoder[ToStage] = msgspec.msgpack.Decoder(ToStage)
_from_stage: msgspec.msgpack.Decoder[FromStage] = msgspec.msgpack.Decoder(FromStage)


T = TypeVar("T")


def encode(message: Message) -> bytes:
    return _encoder.encode(message)


def decode_job(data: bytes) -> Job:
    """Raises msgspec.DecodeError for anything that is not a Job; so do the others for theirs."""
    return _decode(_job, data)


def decode_incoming(data: bytes) -> Incoming:
    return _decode(_incoming, data)


def decode_to_stage(data: bytes) -> ToStage:
    return _decode(_to_stage, data)


def decode_from_stage(data: bytes) -> FromStage:
    return _decode(_from_stage, data)


def _decode(decoder: msgspec.msgpack.Decoder[T], data: bytes) -> T:
    """msgspec has errors of other kinds for bad UTF-8 and for absurdly deep nesting."""
    try:
        return decoder.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None
