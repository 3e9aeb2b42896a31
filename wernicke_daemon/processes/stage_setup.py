"""What the processes of a replica are started with."""

import msgspec
from msgspec.structs import replace

from ipc.messages import Ready, StageName
from ipc.settings import StageSettings
from wernicke_daemon.processes.liveness import Limits


class StageSetup(msgspec.Struct, frozen=True):
    """What every incarnation of a replica is started with."""

    arena: str  # geometry for ArenaReader
    settings: StageSettings  # with the device of this replica
    limits: Limits
    heartbeat_s: float  # from one heartbeat to the next
    threads: int = 1  # that its libraries may use
    device: str = ""  # where its models are to run, as config.toml has it; "" where that is not its own to say
    why: str | None = None  # its engine was chosen, where that was by an earlier incarnation

    def pinned(self, stage: StageName, before: Ready | None) -> "StageSetup":
        """For a restart: the engine that `auto` chose once, or a moment's trouble would mean a worse one for good."""
        if before is None or stage == "ingest" or stage in self.settings.sleep_ms:
            return self
        return replace(self, settings=_pinned(self.settings, stage, before.engine), why=before.why)


def _pinned(settings: StageSettings, stage: StageName, engine: str) -> StageSettings:
    match stage:
        case "asr":
            return replace(settings, asr=replace(settings.asr, engine=engine))
        case "diarization":
            return replace(settings, diarization=replace(settings.diarization, engine=engine))
        case "correction":
            return replace(settings, correction=replace(settings.correction, engine=engine))
    return settings
