"""What the daemon tells the web process at its start, in the boot record on its stdin."""

from pathlib import Path

import msgspec

from wernicke_daemon.config.schema import Config
from wernicke_daemon.records import transcript_file


class Setup(msgspec.Struct, frozen=True):
    """The settings in force, and what of them is decided at a start."""

    config: Config
    front: str  # where the front is: "http://127.0.0.1:8000"
    host: str  # address to listen on
    port: int  # never 0
    token: str  # lets this process in at the front; empty where everybody is let in
    secret: str  # what login cookies are signed with; kept over restarts; "" where nobody logs in
    parent_pid: int = 0  # of the daemon, which this process ends with; 0: of nobody
    parent_fd: int | None = None  # see `ipc.parent_watch.watch_parent`

    @property
    def transcripts(self) -> Path:
        """The file of `records/transcript_file.py`, of which only summaries are written here; there is none where
        nothing was kept yet."""
        return self.config.data_path / transcript_file.FILE_NAME

    @property
    def log(self) -> Path:
        """The daemon's JSON log; older files stand beside it."""
        return self.config.log_path

    @property
    def needs_login(self) -> bool:
        return bool(self.config.security.clients)

    def __repr__(self) -> str:
        return f"Setup({self.host}:{self.port})"  # token and secret stand in no traceback
