"""How the two ends of a link are set up: loopback TCP, CURVE keys, bounded, never lingering.

The front binds every socket (endpoints then outlive stages) and is the CURVE server; a stage connects with the key
pair made for its incarnation. `ipc://` is not in pyzmq's Windows wheels, so it is TCP everywhere.
"""

import msgspec
import zmq

from ipc.codec import MAX_MESSAGE_BYTES

LOOPBACK = "tcp://127.0.0.1"

Socket = zmq.Socket[bytes]


class KeyPair(msgspec.Struct, frozen=True):
    """CURVE keys in Z85, 40 bytes each."""

    public: bytes
    secret: bytes


def new_keys() -> KeyPair:
    public, secret = zmq.curve_keypair()
    return KeyPair(public, secret)


class Boot(msgspec.Struct, frozen=True):
    """What a stage process is told through stdin before anything else."""

    stage: str  # its name
    replica: int  # which of the stage's replicas it is, from 0
    epoch: int  # its number among the processes of that replica, from 1
    parent_pid: int  # the front's process
    parent_fd: int | None  # read end of the pipe whose closing means that the front is gone (POSIX)
    work: str  # endpoint from which jobs come
    results: str  # endpoint to which their results go
    orders: str  # endpoint from which orders of control come
    reports: str  # endpoint to which reports of control go
    server_key: bytes  # the front's public key
    keys: KeyPair  # its own
    heartbeat_s: float  # from one heartbeat to the next
    load_limit_s: float  # how long loading an engine may take


def bounded(context: zmq.Context[Socket], kind: int) -> Socket:
    """A socket that closes at once, whatever is unsent, and refuses messages of more than MAX_MESSAGE_BYTES."""
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    return socket


def bind(context: zmq.Context[Socket], kind: int, keys: KeyPair, domain: str) -> tuple[Socket, str]:
    """The front's end on a free port of loopback, and its endpoint. domain: of ZAP, says whose key is let in.

    Raises ZMQError."""
    socket = bounded(context, kind)
    socket.curve_server = True
    socket.curve_publickey = keys.public
    socket.curve_secretkey = keys.secret
    socket.zap_domain = domain.encode()
    try:
        port = socket.bind_to_random_port(LOOPBACK)
    except zmq.ZMQError:
        socket.close()
        raise
    return socket, f"{LOOPBACK}:{port}"


def connect(context: zmq.Context[Socket], kind: int, endpoint: str, boot: Boot) -> Socket:
    """A stage's end."""
    socket = bounded(context, kind)
    socket.curve_serverkey = boot.server_key
    socket.curve_publickey = boot.keys.public
    socket.curve_secretkey = boot.keys.secret
    socket.connect(endpoint)
    return socket
