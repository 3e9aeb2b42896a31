"""Talks to a daemon. What other programs, and the rest of this one, use of it stands here."""

from wernicke_daemon.client.client import MONO_16K as MONO_16K
from wernicke_daemon.client.client import PATIENCE_S as PATIENCE_S
from wernicke_daemon.client.client import Client as Client
from wernicke_daemon.client.client import ParsedMessage as ParsedMessage
from wernicke_daemon.client.client import exchange as exchange
from wernicke_daemon.client.client import problem as problem
from wernicke_daemon.client.connecting import DEFAULT_URL as DEFAULT_URL
from wernicke_daemon.client.connecting import ClientError as ClientError
from wernicke_daemon.client.connecting import Exit as Exit
