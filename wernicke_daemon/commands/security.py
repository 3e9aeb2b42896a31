"""`wernicke token` and `wernicke cert`: what [security] needs, made and explained on the terminal."""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from wernicke_daemon.commands.options import Subparsers


def add_commands(commands: Subparsers) -> None:
    token = commands.add_parser("token", help="make a token that a client must have to connect")
    token.set_defaults(command=_token)
    cert = commands.add_parser("cert", help="make a certificate, so that the daemon speaks wss:// and https://")
    cert.add_argument(
        "--name",
        action="append",
        default=[],
        dest="names",
        help="host name or IP address by which clients reach this machine; may be given several times",
    )
    cert.add_argument(
        "--directory", type=Path, default=Path("certificates"), metavar="DIR", help="where to (default: %(default)s)"
    )
    cert.add_argument("--force", action="store_true", help="replace existing files")
    cert.set_defaults(command=_cert)


def _token(args: argparse.Namespace) -> int:
    from wernicke_daemon.wire.tokens import hash_of, new_token

    token = new_token()
    print(
        f"""The token, shown this once (for `wernicke --token`, or $WERNICKE_TOKEN):

  {token}

Its hash, for config.toml (beside those that are there already):

  [security]
  clients = ["{hash_of(token)}"]"""
    )
    return 0


def _cert(args: argparse.Namespace) -> int:
    """Raises TlsError."""
    from wernicke_daemon.wire.tls import make_certificate

    directory = args.directory.expanduser().resolve()
    certificate, key = make_certificate(directory, args.names, now=datetime.now(UTC), force=args.force)
    print(
        f"""Made {certificate} and its key. For config.toml:

  [security]
  certificate_file = {_toml(certificate)}
  key_file = {_toml(key)}

Copy {certificate.name} to the machines that connect; never copy {key.name}. There:

  this client:  wernicke transcribe --cafile {certificate.name} --url wss://HOST:8000/transcribe FILE
  Node.js:      NODE_EXTRA_CA_CERTS=/path/to/{certificate.name} node PROGRAM
  all of a Mac: sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {certificate.name}

HOST must be a name or address in the certificate: localhost, this machine's own name, and each --name."""
    )
    return 0


def _toml(path: Path) -> str:
    """As a TOML string. Slashes will do on Windows too."""
    return json.dumps(path.as_posix(), ensure_ascii=False)
