"""Nothing is fetched or reported by a stage: libraries are told so before they are imported."""

import os

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYANNOTE_METRICS_ENABLED": "0",
    "OTEL_SDK_DISABLED": "true",
    "DO_NOT_TRACK": "1",
}
"""Read by huggingface_hub and transformers when they are imported, by pyannote.audio at every use; the last
two by what it reports through."""


def enforce() -> None:
    """For this process, and those it starts."""
    os.environ.update(ENVIRONMENT)
