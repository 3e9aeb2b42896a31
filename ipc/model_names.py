"""How the Hugging Face hub and Ollama call the models that config.toml names. Pure."""

WHISPER_REPOSITORIES = {
    **{
        size: f"Systran/faster-whisper-{size}"
        for size in ("tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en")
    },
    **{size: f"Systran/faster-whisper-{size}" for size in ("large-v1", "large-v2", "large-v3")},
    **{f"distil-{size}": f"Systran/faster-distil-whisper-{size}" for size in ("small.en", "medium.en", "large-v3")},
    "large": "Systran/faster-whisper-large-v3",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}
"""As faster-whisper names them; all for CTranslate2."""

ALIGNMENT_MODELS = {
    "ja": "jonatasgrosman/wav2vec2-large-xlsr-53-japanese",
    "en": "facebook/wav2vec2-base-960h",
    "zh": "jonatasgrosman/wav2vec2-large-xlsr-53-chinese-zh-cn",
    "ko": "kresnik/wav2vec2-large-xlsr-korean",
    "de": "jonatasgrosman/wav2vec2-large-xlsr-53-german",
    "fr": "jonatasgrosman/wav2vec2-large-xlsr-53-french",
    "es": "jonatasgrosman/wav2vec2-large-xlsr-53-spanish",
    "it": "jonatasgrosman/wav2vec2-large-xlsr-53-italian",
    "pt": "jonatasgrosman/wav2vec2-large-xlsr-53-portuguese",
    "ru": "jonatasgrosman/wav2vec2-large-xlsr-53-russian",
    "nl": "jonatasgrosman/wav2vec2-large-xlsr-53-dutch",
}
"""wav2vec2 models whose output is characters. whisperx has most of these; for some languages it takes a file from
PyTorch's server instead, which no hub cache can hold, so those are from the hub here too."""


ONNX_SPEAKERS = {
    "segmentation": ("onnx-community/pyannote-segmentation-3.0", "onnx/model.onnx"),
    "encoder": ("Wespeaker/wespeaker-voxceleb-resnet34-LM", "voxceleb_resnet34_LM.onnx"),
}
"""Repository and file of the larger models that tell speakers apart without PyTorch; no licence has to be accepted for
either (MIT; CC BY 4.0)."""


def whisper_repository(model: str) -> str:
    """model: a size or a hub id."""
    return WHISPER_REPOSITORIES.get(model, model)


def alignment_model(model: str, language: str) -> str | None:
    """model: `alignment.model`. None where it is "auto" and no model is known for the language."""
    return ALIGNMENT_MODELS.get(language) if model == "auto" else model


def ollama_name(model: str) -> str:
    """Ollama's name of a model always has a tag; a colon before the last slash is a registry's port."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"
