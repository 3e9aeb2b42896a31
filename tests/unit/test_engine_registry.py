"""The table of engines against the names that config.toml may have."""

from typing import get_args

import pytest

from ipc.messages import StageName
from ipc.settings import AsrSettings, CorrectionSettings, DiarizationSettings, Section, StageSettings, VadSettings
from stages.process.engine_registry import ENGINES, RENAMED, wanted


@pytest.mark.parametrize(
    ("stage", "section"),
    [
        ("ingest", VadSettings),
        ("asr", AsrSettings),
        ("diarization", DiarizationSettings),
        ("correction", CorrectionSettings),
    ],
)
def test_an_engine_has_one_name(stage: StageName, section: type[Section]) -> None:
    """What may be configured can be made, and what can be made may be configured."""
    assert {*ENGINES[stage]} == {*get_args(section.__annotations__["engine"])} - {"auto", *RENAMED}


def test_an_engine_of_earlier_days_is_its_successor() -> None:
    """A config.toml that names it goes on working."""
    assert wanted("diarization", StageSettings(diarization=DiarizationSettings(engine="spectral"))) == ["onnx"]
