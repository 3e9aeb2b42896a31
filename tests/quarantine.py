"""Runs a function in a process of its own from which nothing can leave, and tells what tried to, and what it wrote.

    findings = watched(tmp_path, use)  # `use` is a function at the top of its module; it gets the working directory
    assert findings.left == [] and findings.written == []

That process, and those it starts, have an empty home and temporary directory, and variables that name a proxy, which
writes down what it is asked for. Where Linux allows it (`is_private`) they also have a network of their own, in which
every address is the machine's own, so that whatever is sent to any of them, by whatever code, is seen and arrives
nowhere.
"""

import ctypes
import functools
import importlib
import json
import os
import socket
import socketserver
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
OWN_NETWORK = ("unshare", "--map-root-user", "--net")
EVERY_ADDRESS_IS_HERE = (
    "ip link set lo up && ip route add local default dev lo && { ip -6 route add local default dev lo || true; }"
)
OUTGOING = 4
"""linux/if_packet.h: PACKET_OUTGOING. On loopback each packet is seen a second time as it comes in."""
ALL_PROTOCOLS = 3
"""linux/if_ether.h: ETH_P_ALL"""
TCP, UDP = 6, 17
SYN_ACK, SYN = 0x12, 0x02
DNS = 53
NOT_LOOPBACK_TCP = (
    (0x30, 0, 0, 0),  # load the first byte
    (0x54, 0, 0, 0xF0),  # its upper half: the version
    (0x15, 0, 4, 0x40),  # other than 4: take the packet
    (0x30, 0, 0, 9),  # load the protocol
    (0x15, 0, 2, TCP),  # other than TCP: take it
    (0x30, 0, 0, 16),  # load the destination's first byte
    (0x15, 1, 0, 127),  # loopback: leave it
    (0x06, 0, 0, 512),  # take its first 512 bytes
    (0x06, 0, 0, 0),  # leave it
)
"""A socket filter (linux/filter.h: code, jump if true, jump if false, value). Without it there are so many packets,
with audio and results, that some are missed."""
SO_ATTACH_FILTER = 26
"""asm-generic/socket.h"""
PACKET_STATISTICS = (263, 6)
"""linux/socket.h and if_packet.h: SOL_PACKET, PACKET_STATISTICS. How many packets came, and how many were missed."""
PROXIES = [f"{scheme}_proxy" for scheme in ("http", "https", "ftp", "all")]


class Findings(NamedTuple):
    """left: what was asked of the proxy, looked up, or sent to another machine. written: files outside of the data
    directory."""

    left: list[str]
    written: list[str]


@functools.cache
def is_private() -> bool:
    """Whether this system lets us have a network of our own: Linux with user namespaces or as root, and with `ip`."""
    try:
        return subprocess.run([*OWN_NETWORK, "sh", "-c", EVERY_ADDRESS_IS_HERE], capture_output=True).returncode == 0
    except OSError:
        return False


def watched(folder: Path, use: Callable[[Path], None], timeout_s: float = 250.0) -> Findings:
    """`use` is called in a process of its own with `folder / "work"`, which is its working directory; of that,
    config.toml and data/ are no finding. Raises AssertionError with all output where it fails."""
    for name in ("home", "tmp", "work"):
        (folder / name).mkdir()
    report = folder / "left.json"
    launcher = OWN_NETWORK if is_private() else ()
    arguments = ["private" if is_private() else "shared", str(report), use.__module__, use.__qualname__]
    ended = subprocess.run(
        [*launcher, sys.executable, "-m", "tests.quarantine", *arguments],
        cwd=folder / "work",
        env=_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
    )
    assert ended.returncode == 0, ended.stdout
    return Findings(json.loads(report.read_text(encoding="utf-8")), sorted(_written(folder)))


def _environment(folder: Path) -> dict[str, str]:
    """Without what leads to the user's own directories, or measures coverage and leaves files for that."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "HF_", "COV"))}
    home, temporary = str(folder / "home"), str(folder / "tmp")
    homes = dict.fromkeys(("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"), home)
    temporaries = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), temporary)
    return {**kept, **homes, **temporaries, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


def _written(folder: Path) -> Iterator[str]:
    for place in ("home", "tmp", "work"):
        for path in (folder / place).rglob("*"):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name != "work/config.toml" and not name.startswith("work/data/"):
                yield name


# --- in the process of its own ---------------------------------------------------------------------


def main(network: str, report: str, module: str, function: str) -> None:
    left: set[str] = set()
    with _sniffing(left) if network == "private" else nullcontext(), _proxy(left):
        getattr(importlib.import_module(module), function)(Path.cwd())
    Path(report).write_text(json.dumps(sorted(left)), encoding="utf-8")


@contextmanager
def _proxy(left: set[str]) -> Iterator[None]:
    """A proxy on loopback, in all variables, that writes down what each request is for and answers nothing."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            method, target, *_ = self.rfile.readline(1000).decode("latin-1").split() or ("nothing", "")
            left.add(f"proxy: {method} {target}")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        for name in PROXIES:
            os.environ[name] = os.environ[name.upper()] = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield
        finally:
            server.shutdown()


@contextmanager
def _sniffing(left: set[str]) -> Iterator[None]:
    subprocess.run(["sh", "-c", EVERY_ADDRESS_IS_HERE], check=True)
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_PROTOCOLS)) as packets:
        _filter(packets)
        packets.settimeout(0.05)
        done = threading.Event()
        reader = threading.Thread(target=_sniff, args=(packets, left, done))
        reader.start()
        try:
            yield
        finally:
            done.set()
            reader.join()
        _, dropped = struct.unpack("II", packets.getsockopt(*PACKET_STATISTICS, 8))
        assert dropped == 0, f"{dropped} packets came too fast to be seen"


def _filter(packets: socket.socket) -> None:
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in NOT_LOOPBACK_TCP))
    packets.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(NOT_LOOPBACK_TCP), ctypes.addressof(program))
    )


def _sniff(packets: socket.socket, left: set[str], done: threading.Event) -> None:
    """Until nothing has come for a moment after `done`."""
    while True:
        try:
            packet, (_, _, direction, _, _) = packets.recvfrom(512)
        except TimeoutError:
            if done.is_set():
                return
            continue
        if direction == OUTGOING and (target := foreign(packet)):
            left.add(target)


def foreign(packet: bytes) -> str:
    """What an IP packet wants of another machine: a TCP connection, a datagram's arrival, a look-up. Else empty."""
    if packet[0] >> 4 == 4:
        protocol, address, payload = packet[9], ip_address(packet[16:20]), packet[4 * (packet[0] & 15) :]
    else:
        protocol, address, payload = packet[6], ip_address(packet[24:40]), packet[40:]
    port = int.from_bytes(payload[2:4], "big")
    begins = protocol == UDP or (protocol == TCP and payload[13] & SYN_ACK == SYN)
    is_answer = int.from_bytes(payload[:2], "big") == DNS
    if not begins or is_answer or (address.is_loopback and port != DNS):
        return ""
    if protocol == UDP and port == DNS:
        return f"look-up: {_asked(payload[8:])}"
    return f"{'TCP' if protocol == TCP else 'UDP'}: {address} port {port}"


def _asked(query: bytes) -> str:
    """The name in a DNS query (RFC 1035, 4.1.2)."""
    labels, at = [], 12
    while at < len(query) and query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    return ".".join(labels)


if __name__ == "__main__":
    main(*sys.argv[1:])
