"""What logins are signed with: kept over restarts."""

import sys
from pathlib import Path

import structlog
from msgspec.structs import replace

from wernicke_daemon.config.schema import Config, RuntimeSettings
from wernicke_daemon.web_launch import SECRET_FILE, _secret


def config(directory: Path) -> Config:
    return replace(Config(), runtime=RuntimeSettings(data_dir=str(directory)))


def test_it_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    """One that is damaged is made anew."""
    there = config(tmp_path / "data")
    secret = _secret(there)
    assert len(secret) == 64 and _secret(there) == secret != _secret(config(tmp_path / "another"))
    file = tmp_path / "data" / SECRET_FILE
    if sys.platform != "win32":
        assert file.stat().st_mode & 0o077 == 0
    for damaged in (b"", b"\xff" * 64):
        file.write_bytes(damaged)
        assert len(anew := _secret(there)) == 64 and _secret(there) == anew


def test_where_it_can_not_be_kept_it_is_one_for_this_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with structlog.testing.capture_logs() as logs:
        assert len(_secret(config(tmp_path / "file"))) == 64
    assert [line["event"] for line in logs] == ["logins_not_kept"]
