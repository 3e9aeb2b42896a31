"""TLS over a real socket, with certificates made as `wernicke cert` makes them."""

import argparse
import ipaddress
import os
import socket
import ssl
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from wernicke_daemon.commands import security
from wernicke_daemon.wire import tls, tokens

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=1000)
SOON = NOW + timedelta(days=2)


async def _echo(socket: ServerConnection) -> None:
    async for message in socket:
        await socket.send(message)


@asynccontextmanager
async def echo_server(certificate: Path, key: Path) -> AsyncIterator[int]:
    """Its port on loopback."""
    async with serve(_echo, "127.0.0.1", 0, ssl=tls.server_context(certificate, key)) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def echoed(port: int, context: ssl.SSLContext, name: str = "localhost") -> str | bytes:
    """What comes back over wss, connecting to a server that should be called `name`."""
    address = f"wss://{name}:{port}/"
    async with connect(address, ssl=context, host="127.0.0.1", server_hostname=name, proxy=None) as client:
        await client.send("speech")
        return await client.recv()


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    return tls.make_certificate(tmp_path / "made", ["pc.example", "192.168.1.20"], now=NOW)


@pytest.fixture
def other(tmp_path: Path) -> tuple[Path, Path]:
    return tls.make_certificate(tmp_path / "other", [], now=NOW)


# --- over the wire ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["localhost", "127.0.0.1", "pc.example", "192.168.1.20", f"{socket.gethostname().partition('.')[0]}.local"]
)
async def test_a_client_that_trusts_the_file_gets_through(made: tuple[Path, Path], name: str) -> None:
    """By each name that the certificate should have; also under the strict checks of Python 3.13."""
    context = tls.client_context(made[0])
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    async with echo_server(*made) as port:
        assert await echoed(port, context, name) == "speech"


async def test_a_client_that_trusts_another_file_refuses(made: tuple[Path, Path], other: tuple[Path, Path]) -> None:
    """Both say that they are the Wernicke daemon; only one is."""
    async with echo_server(*made) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await echoed(port, tls.client_context(other[0]))


async def test_a_client_may_trust_an_old_and_a_new_certificate(
    made: tuple[Path, Path], other: tuple[Path, Path], tmp_path: Path
) -> None:
    """Both have the same issuer's name; the right one is found."""
    both = tmp_path / "both.crt"
    both.write_bytes(other[0].read_bytes() + made[0].read_bytes())
    async with echo_server(*made) as port:
        assert await echoed(port, tls.client_context(both)) == "speech"


async def test_a_client_that_trusts_the_usual_issuers_refuses(made: tuple[Path, Path]) -> None:
    """Without the file the local certificate is a stranger's."""
    async with echo_server(*made) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await echoed(port, tls.client_context(None))


async def test_another_name_is_refused(made: tuple[Path, Path]) -> None:
    """The certificate is good for its own names only."""
    async with echo_server(*made) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="pc2"):
            await echoed(port, tls.client_context(made[0]), "pc2.example")


async def test_old_tls_is_refused(made: tuple[Path, Path]) -> None:
    """TLS 1.1 and older are broken."""
    context = tls.client_context(made[0])
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else the client would not even try
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with echo_server(*made) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await echoed(port, context)


# --- the certificate -------------------------------------------------------------------------------


def test_what_the_certificate_says(made: tuple[Path, Path]) -> None:
    """Its names; no CA; a life that Apple takes; a P-256 key."""
    certificate = x509.load_pem_x509_certificate(made[0].read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = names.get_values_for_type(x509.DNSName)
    assert {"localhost", "pc.example", socket.gethostname().lower()} <= set(hosts)
    addresses = {ipaddress.ip_address(text) for text in ("127.0.0.1", "::1", "192.168.1.20")}
    assert set(names.get_values_for_type(x509.IPAddress)) == addresses
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc + timedelta(seconds=1)
    assert life == timedelta(days=825)
    key = serialization.load_pem_private_key(made[1].read_bytes(), None)
    assert getattr(key, "curve").name == "secp256r1"  # noqa: B009  (the type is a union of all kinds of key)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.parametrize("force", [False, True])
def test_nobody_else_can_read_the_key(tmp_path: Path, force: bool) -> None:
    """Whatever the umask, and whatever mode a file had that is replaced."""
    if force:
        (tmp_path / tls.KEY_NAME).touch(0o666)
    before = os.umask(0)
    try:
        _, key = tls.make_certificate(tmp_path, [], now=NOW, force=force)
    finally:
        os.umask(before)
    assert key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("there", [tls.CERTIFICATE_NAME, tls.KEY_NAME])
def test_nothing_is_overwritten_unless_forced(tmp_path: Path, there: str) -> None:
    """One file that is there keeps both as they are."""
    (tmp_path / there).write_text("precious")
    with pytest.raises(tls.TlsError, match="--force"):
        tls.make_certificate(tmp_path, [], now=NOW)
    assert [file.name for file in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"
    tls.server_context(*tls.make_certificate(tmp_path, [], now=NOW, force=True))


@pytest.mark.parametrize("name", ["", "wss://pc.example/", "my pc", "ホスト", "pc.example:8000", "-pc"])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    """Before anything is written."""
    with pytest.raises(tls.TlsError, match="neither a host name nor an IP address"):
        tls.make_certificate(tmp_path, [name], now=NOW)
    assert not any(tmp_path.iterdir())


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    """The sentence says which."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(tls.TlsError, match="choose another directory"):
        tls.make_certificate(file, [], now=NOW)


# --- files that can't be used ----------------------------------------------------------------------


def test_expired(tmp_path: Path) -> None:
    """The daemon does not start with what every client would refuse."""
    with pytest.raises(tls.TlsError, match=r"expired on \d{4}-\d\d-\d\d; renew it"):
        tls.server_context(*tls.make_certificate(tmp_path, [], now=LONG_AGO))


def test_not_valid_yet(tmp_path: Path) -> None:
    """Most likely a clock is wrong."""
    with pytest.raises(tls.TlsError, match=r"valid from \d{4}-\d\d-\d\d only"):
        tls.server_context(*tls.make_certificate(tmp_path, [], now=SOON))


def test_files_of_two_pairs(made: tuple[Path, Path], other: tuple[Path, Path]) -> None:
    """A certificate and another's key."""
    with pytest.raises(tls.TlsError, match="is not the key of"):
        tls.server_context(made[0], other[1])


def test_swapped_files(made: tuple[Path, Path]) -> None:
    """The key where the certificate should be."""
    with pytest.raises(tls.TlsError, match="holds no certificate"):
        tls.server_context(made[1], made[0])
    with pytest.raises(tls.TlsError, match="holds no private key"):
        tls.server_context(made[0], made[0])


@pytest.mark.parametrize("missing", [0, 1])
def test_a_file_that_is_not_there(made: tuple[Path, Path], missing: int) -> None:
    """The sentence names the setting to correct."""
    made[missing].unlink()
    with pytest.raises(tls.TlsError, match=f"correct security.{('certificate', 'key')[missing]}_file"):
        tls.server_context(*made)


def test_a_directory_in_place_of_a_file(made: tuple[Path, Path]) -> None:
    """Can't be read, like a file without permission."""
    with pytest.raises(tls.TlsError, match="can't be read"):
        tls.server_context(made[0].parent, made[1])


def test_a_key_with_a_password(made: tuple[Path, Path]) -> None:
    """The daemon asks nobody for a password."""
    key = serialization.load_pem_private_key(made[1].read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.PKCS8
    made[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, locked))
    with pytest.raises(tls.TlsError, match="has a password"):
        tls.server_context(*made)


def test_a_client_is_told_what_is_wrong_with_its_file(tmp_path: Path) -> None:
    """--cafile that is not there, or is something else."""
    with pytest.raises(tls.TlsError, match="can't be read"):
        tls.client_context(tmp_path / "none.crt")
    (tmp_path / "text.crt").write_text("no certificate")
    with pytest.raises(tls.TlsError, match="no certificate in PEM form"):
        tls.client_context(tmp_path / "text.crt")


# --- the commands ----------------------------------------------------------------------------------


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    security.add_commands(parser.add_subparsers())
    args = parser.parse_args(words)
    code = args.command(args)
    assert isinstance(code, int)
    return code


def toml_in(printed: str) -> dict[str, str | list[str]]:
    """The [security] section among what was printed."""
    lines = printed.partition("[security]")[2].splitlines()
    section = tomllib.loads("\n".join(line.strip() for line in lines if line.startswith("  ") and " = " in line))
    return section


def test_cert_prints_lines_that_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The files that config.toml is to name are usable, and the names were taken."""
    directory = tmp_path / 'a "quoted" name'
    if sys.platform == "win32":
        directory = tmp_path / "a name"
    assert run("cert", "--name", "pc.example", "--name", "10.0.0.1", "--directory", str(directory)) == 0
    printed = capsys.readouterr().out
    section = toml_in(printed)
    tls.server_context(Path(str(section["certificate_file"])), Path(str(section["key_file"])))
    assert b"pc.example" in ssl.PEM_cert_to_DER_cert(Path(str(section["certificate_file"])).read_text())
    assert "--cafile wernicke.crt" in printed and "PRIVATE KEY" not in printed


def test_cert_refuses_a_second_time(tmp_path: Path) -> None:
    """Clients that trust the first would be locked out; --force means it."""
    assert run("cert", "--directory", str(tmp_path)) == 0
    with pytest.raises(tls.TlsError, match="exists already"):
        run("cert", "--directory", str(tmp_path))
    assert run("cert", "--directory", str(tmp_path), "--force") == 0


def test_token_prints_a_token_and_its_hash(capsys: pytest.CaptureFixture[str]) -> None:
    """The hash is that of the token above it, and it is the only time that the token is shown."""
    assert run("token") == 0
    printed = capsys.readouterr().out
    token = printed.split("\n\n")[1].strip()
    assert len(token) == 64 and printed.count(token) == 1
    assert toml_in(printed)["clients"] == [tokens.hash_of(token)]
