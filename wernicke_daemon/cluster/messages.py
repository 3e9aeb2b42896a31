"""What front and bridge say to each other: whose message it is, and the message that a stage process would get or give.

Over one link, as nothing waits in the bridge: work out (both work and orders), results back (both results and reports).
"""

import msgspec

from ipc.channels import Boot
from ipc.messages import (
    Cancel,
    Done,
    Failed,
    Heartbeat,
    Hello,
    Init,
    Job,
    Loading,
    Message,
    Ready,
    Started,
    Stop,
    Unusable,
)
from wernicke_daemon.processes.peer import Identity


class Share(msgspec.Struct, frozen=True):
    """What Ray is asked for, for one actor. gpus: cards, or a part of one, if the cluster has any."""

    cpus: int
    gpus: float


class BridgeBoot(msgspec.Struct, frozen=True):
    """What a bridge is told through stdin. link: its sockets. address: of the cluster, as in config.toml. arena:
    geometry for ArenaReader."""

    link: Boot
    address: str
    arena: str


class Begin(Message, frozen=True):
    """Have an actor started. variables: of its environment. heartbeat_s: between two of its own. load_limit_s: how long
    loading its engine may take."""

    share: Share
    variables: dict[str, str]
    heartbeat_s: float
    load_limit_s: float


class Kill(Message, frozen=True):
    """End it at once."""


class ToBridge(Message, frozen=True):
    who: Identity
    what: Begin | Init | Job | Cancel | Stop | Kill


class Gone(Message, frozen=True):
    """Its actor is no more. how: in words, to stand behind "its process"."""

    how: str


class FromBridge(Message, frozen=True):
    who: Identity
    what: Hello | Loading | Ready | Unusable | Started | Heartbeat | Done | Failed | Gone


class Lost(Message, frozen=True):
    """The bridge has come to its end, and all actors are gone. how: as of Gone."""

    how: str


class Unreachable(Message, frozen=True):
    """It has no cluster to begin with, and has come to its end. why: one sentence naming the ways out."""

    why: str


FromCluster = FromBridge | Lost | Unreachable


_to_bridge = msgspec.msgpack.Decoder(ToBridge)
_from_cluster: msgspec.msgpack.Decoder[FromCluster] = msgspec.msgpack.Decoder(FromCluster)


def decode_to_bridge(data: bytes) -> ToBridge:
    """Raises msgspec.DecodeError."""
    return _to_bridge.decode(data)


def decode_from_cluster(data: bytes) -> FromCluster:
    """Raises msgspec.DecodeError."""
    return _from_cluster.decode(data)
