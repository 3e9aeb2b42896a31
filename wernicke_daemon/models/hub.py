"""The Hugging Face hub's part: what its cache holds, fetching, comparing with its hashes.

`huggingface_hub` reads its settings from the environment when it is imported; so it is imported by the functions, and
`prepare` comes first. A token comes from HF_TOKEN or the hub's own login and is never shown.
"""

import errno
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ipc.errors import WernickeError
from wernicke_daemon.models import catalog
from wernicke_daemon.models.catalog import Model

HUB = "https://huggingface.co"
TOKENS = f"{HUB}/settings/tokens"
LFS_POINTER = b"version https://git-lfs.github.com/spec"
"""What a clone without git-lfs has in place of a large file."""
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""A git blob's SHA-1, or the SHA-256 of a file in large file storage: what the cache names its blobs by."""
REFUSED = (401, 403)
CHUNK = 1024 * 1024
TRIES = 3
"""Of a download that breaks off. Files that have arrived are kept; the client before version 1 keeps parts of them too,
and later ones try again by themselves."""

Files = Mapping[str, Path]
"""A model's files that are on this machine, by their path in the repository (with slashes)."""


class NotFetched(WernickeError):
    """A model can't be had from the hub."""


class Verification(NamedTuple):
    """problems: sentences. compared: of how many of the files the hash is known, and right."""

    problems: list[str]
    compared: int


def prepare(offline: bool) -> None:
    """Turn off the hub client's telemetry; with `offline`, all its requests."""
    os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "HF_HUB_DISABLE_SYMLINKS_WARNING": "1"}
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"


def is_offline() -> bool:
    """By `prepare`, or by the user's own HF_HUB_OFFLINE."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def has_token() -> bool:
    return bool(token())


def token() -> str:
    """The user's, of the environment or as it was stored; "" without one."""
    from huggingface_hub import get_token

    return get_token() or ""


# --- what is here ----------------------------------------------------------------------------------


def located(model: Model) -> dict[str, Path]:
    """The model's files that are here, in the directory of that name or else in the hub's cache. No request is made."""
    root = folder(model)
    if not root.is_dir():
        return {}
    names = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: path for name, path in names.items() if catalog.belongs(model, name)}


def lacking(model: Model) -> list[str]:
    """The needed files that are not here."""
    files = located(model)
    pipeline = files.get("config.yaml")
    whole = catalog.with_parts(model, pipeline.read_text("utf-8", errors="replace")) if pipeline else model
    return catalog.lacking(whole, files)


def folder(model: Model) -> Path:
    """Where the model is or, once it is fetched, will be below."""
    directory = Path(model.name)
    return directory if directory.is_dir() else _snapshot(_repository_folder(model.name))


def is_cached(model: Model) -> bool:
    """Whether it is the hub's, and no directory of the user's own."""
    return not Path(model.name).is_dir()


def _repository_folder(name: str) -> Path:
    """As the hub's client names it; also for a name that the hub would not allow, where nothing is."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / "--".join(["models", *name.split("/")])


def _snapshot(repository: Path) -> Path:
    """The revision that engines load: the cache's `main`. The repository's own folder where there is none."""
    main = repository / "refs" / "main"
    return repository / "snapshots" / main.read_text(encoding="utf-8").strip() if main.is_file() else repository


# --- fetching --------------------------------------------------------------------------------------


def fetch(model: Model) -> None:
    """Fetch what is not here, with progress bars. A complete model stays at its revision. Raises NotFetched."""
    before = lacking(model)
    if not is_cached(model):
        if before:
            raise NotFetched(f"the directory lacks {', '.join(before)}: complete it, or name a hub id instead")
        return
    _download_patiently(model, revision=None if before else folder(model).name)
    if missing := lacking(model):
        raise NotFetched(f"the repository has no {', '.join(missing)}: it is not a model of the needed kind")


def _download_patiently(model: Model, revision: str | None) -> None:
    """Raises NotFetched. An error is ignored where the model is complete all the same."""
    for tries_left in reversed(range(TRIES)):
        try:
            return _download(model, revision)
        except Exception as error:  # of the hub's client, of the HTTP library that its version has, of the disk
            if not lacking(model):
                return None
            refusal = why_refused(error, model.name, has_token())
            if refusal or not tries_left or not _may_pass(error):
                raise NotFetched(refusal or _unreachable(error)) from error


def _download(model: Model, revision: str | None) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download(model.name, revision=revision, allow_patterns=catalog.wanted_first(model))
    if rest := catalog.wanted_else(model, located(model)):
        snapshot_download(model.name, revision=revision, allow_patterns=rest)


def why_refused(error: BaseException, repository: str, token: bool) -> str:
    """One sentence with the way out; empty where the network was at fault. token: whether one was sent."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    for one in _causes(error):
        if isinstance(one, GatedRepoError):
            return _licence(repository, token)
        if isinstance(one, RepositoryNotFoundError):
            return f"the hub has no such repository, or it is a private one: correct the name {repository}"
        if isinstance(one, HFValidationError):
            return f"{repository} is neither a directory here nor a name that the hub allows: correct it"
        if isinstance(one, HfHubHTTPError) and _status(one) in REFUSED:
            return f"the hub refuses the token: make a new one at {TOKENS} and put it into HF_TOKEN"
        if isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT):
            return "the disk is full: free some space, or set HF_HOME to a directory on another disk"
        if isinstance(one, PermissionError):
            return f"{one.filename} can't be written: mend its permissions, or set HF_HOME to another directory"
    return ""


def _unreachable(error: BaseException) -> str:
    """Says no more of the error than its kind: addresses in its text may hold signatures."""
    from huggingface_hub import constants

    reason = type(error).__name__
    return f"{constants.ENDPOINT} can't be reached, or broke off ({reason}): look at the network and run this again"


def _may_pass(error: BaseException) -> bool:
    """Whether trying again may help: the connection broke off after something had come."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    return not isinstance(error, LocalEntryNotFoundError)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _licence(repository: str, token: bool) -> str:
    page = f"{HUB}/{repository}"
    if token:
        return f"the account of the token has not accepted its licence: log in, accept it at {page}, and run this again"
    return (
        f"its licence has to be accepted: log in and accept it at {page}, make a token at {TOKENS}, put it into the "
        "environment variable HF_TOKEN and run this again"
    )


# --- comparing -------------------------------------------------------------------------------------


def verify(model: Model) -> Verification:
    """Whether all files are here, can be read, and are what the hub's hashes say. Reads them whole."""
    files = located(model)
    problems = [f"{name} is missing" for name in lacking(model)]
    problems += [f"{name} {problem}" for name, path in files.items() if (problem := _unreadable(path))]
    hashes = _hashes(model, files) if is_cached(model) else {}
    wrong = [name for name, expected in hashes.items() if _hash(files[name], expected) != expected]
    problems += [f"{name} is not what the hub has" for name in wrong]
    if problems and is_cached(model):
        problems.append(f"delete {_repository_folder(model.name)} and run `wernicke models pull`")
    return Verification(problems, len(hashes) - len(wrong))


def _hashes(model: Model, files: Files) -> dict[str, str]:
    """Expected hashes by name, as far as they can be known.

    In the cache a file is a link to a blob that is named by its hash. Where there are no links (on Windows they need
    a setting), the hub is asked.
    """
    known = {name: blob for name, path in files.items() if (blob := _blob_name(path))}
    rest = [name for name in files if name not in known]
    if not rest or is_offline():
        return known
    return known | _asked(model, rest)


def _blob_name(path: Path) -> str | None:
    name = path.readlink().name if path.is_symlink() else ""
    return name if HASH.fullmatch(name) else None


def _asked(model: Model, names: list[str]) -> dict[str, str]:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    try:
        answer = HfApi().get_paths_info(model.name, names, revision=folder(model).name)
    except Exception:  # of any kind, as when fetching; it says nothing about the files
        return {}
    files = [entry for entry in answer if isinstance(entry, RepoFile)]
    return {file.path: file.lfs.sha256 if file.lfs else file.blob_id for file in files}


def _hash(path: Path, like: str) -> str:
    """In hexadecimal; SHA-256 or git's SHA-1, whichever `like` is."""
    size = path.stat().st_size
    digest = hashlib.sha256() if len(like) == 64 else hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _unreadable(path: Path) -> str:
    """What is wrong with a file by itself; empty where nothing is seen."""
    with path.open("rb") as file:
        start = file.read(len(LFS_POINTER))
    if not start:
        return "is empty"
    if start == LFS_POINTER:
        return "is only a pointer: fetch it with `git lfs pull`"
    return "" if _parses(path, start) else "is damaged"


def _parses(path: Path, start: bytes) -> bool:
    """The cheapest test there is for its kind. start: the first eight bytes or more, of a longer file."""
    if path.suffix == ".json":
        try:
            json.loads(path.read_bytes())
        except ValueError:
            return False
    if path.suffix == ".safetensors":  # the length of a JSON header, the header, the tensors
        return int.from_bytes(start[:8], "little") + 8 <= path.stat().st_size
    if path.suffix == ".npz":
        return zipfile.is_zipfile(path)
    if path.name == "pytorch_model.bin":  # PyTorch before 1.6 wrote pickles
        return zipfile.is_zipfile(path) or start[:1] == b"\x80"
    return True
