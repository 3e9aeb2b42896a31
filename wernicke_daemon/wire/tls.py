"""TLS from certificate files, and a local certificate for machines that have none.

Imported only where TLS is used: `cryptography` takes a tenth of a second to load.
"""

import ipaddress
import re
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ipc.errors import WernickeError
from ipc.files import NewFile, replace_all

CERTIFICATE_NAME = "wernicke.crt"
KEY_NAME = "wernicke.key"

_LIFETIME = timedelta(days=825)
"""The longest that macOS and iOS take (https://support.apple.com/en-us/103769)."""

_BACKDATED = timedelta(hours=1)
"""For clients whose clock is behind."""

_DNS_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*")


class TlsError(WernickeError):
    """A certificate or key that can't be used or made."""

    code = "TLS"


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer with PEM files; certificates of issuers may follow the daemon's own. Raises TlsError."""
    loaded = _load_certificate(certificate)
    _check_time(certificate, loaded, datetime.now(UTC))
    if _load_key(key).public_key() != loaded.public_key():
        raise TlsError(f"{key} is not the key of {certificate}; name the two that were made together.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise TlsError(f"{certificate} and {key} can't be used for TLS ({error.reason}).") from None
    return context


def client_context(cafile: Path | None) -> ssl.SSLContext:
    """Trusts `cafile` (PEM) alone, None: what this machine trusts. Raises TlsError."""
    try:
        return ssl.create_default_context(cafile=cafile)
    except ssl.SSLError:
        raise TlsError(f"{cafile} holds no certificate in PEM form.") from None
    except OSError as error:
        raise TlsError(f"The certificate {cafile} can't be read ({error.strerror}).") from None


def make_certificate(directory: Path, names: list[str], *, now: datetime, force: bool = False) -> tuple[Path, Path]:
    """A self-signed certificate and its key as PEM files in `directory`, valid for 825 days.

    names: host names and addresses by which clients reach this machine, besides its own name and localhost.
    now: with a time zone. force: existing files are replaced. Raises TlsError.
    """
    secret = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(secret, [*_own_names(), *names], now)
    files = directory / CERTIFICATE_NAME, directory / KEY_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not force:
            _refuse_existing(*files)
        public = NewFile(files[0], certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
        replace_all([public, NewFile(files[1], _pem(secret), mode=0o600)])
    except OSError as error:
        raise TlsError(f"{directory} can't be written to ({error.strerror}); choose another directory.") from None
    return files


# --- checks that give a sentence where OpenSSL gives a code ----------------------------------------


def _read(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise TlsError(
            f"The {what} file {file} can't be read ({error.strerror}); correct security.{what}_file, "
            "or make one with `wernicke cert`."
        ) from None


def _load_certificate(file: Path) -> x509.Certificate:
    pem = _read(file, "certificate")
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        raise TlsError(f"{file} holds no certificate in PEM form.") from None


def _load_key(file: Path) -> PrivateKeyTypes:
    """OpenSSL would ask for a password on the terminal."""
    pem = _read(file, "key")
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise TlsError(f"The key {file} has a password; store it without: openssl pkey -in OLD -out NEW.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise TlsError(f"{file} holds no private key in PEM form.") from None


def _check_time(file: Path, certificate: x509.Certificate, now: datetime) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > ends:
        raise TlsError(
            f"The certificate {file} expired on {ends.date()}; renew it, or make a new one with "
            f"`wernicke cert --force`. If today is not {now.date()}, correct this machine's clock instead."
        )
    if now < begins:
        raise TlsError(f"The certificate {file} is valid from {begins.date()} only; is this machine's clock right?")


# --- making one ------------------------------------------------------------------------------------


def _own_names() -> list[str]:
    """What this machine is called from here and, by multicast DNS, from its neighbours."""
    host = socket.gethostname()
    names = [host, f"{host.partition('.')[0]}.local"]
    return ["localhost", "127.0.0.1", "::1", *(name for name in names if _DNS_NAME.fullmatch(name))]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if _DNS_NAME.fullmatch(name):
            return x509.DNSName(name.lower())
    raise TlsError(f"{name!r} is neither a host name nor an IP address; give it like pc.example or 192.168.1.20.")


def _certificate(secret: ec.EllipticCurvePrivateKey, names: list[str], now: datetime) -> x509.Certificate:
    """Its own issuer, but no CA: whoever steals its key can't vouch for other sites. Without KeyUsage, because
    OpenSSL before 3.0 takes no certificate for its own issuer whose KeyUsage lacks keyCertSign, which only a CA may
    have. The key identifiers tell an old and a new one apart: both have the same name."""
    public = secret.public_key()
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Wernicke daemon")])
    begin = now - _BACKDATED
    end = begin + _LIFETIME - timedelta(seconds=1)  # both ends count
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = x509.CertificateBuilder(who, who, public, x509.random_serial_number(), begin, end)
    return (
        builder.add_extension(x509.SubjectAlternativeName(_distinct(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(authority, critical=False)
        .sign(secret, hashes.SHA256())
    )


def _distinct(names: list[str]) -> list[x509.GeneralName]:
    return list(dict.fromkeys(map(_general_name, names)))


def _pem(secret: ec.EllipticCurvePrivateKey) -> bytes:
    return secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _refuse_existing(*files: Path) -> None:
    for file in files:
        if file.exists():
            raise TlsError(f"{file} exists already; --force replaces it, and then every client must trust the new one.")
