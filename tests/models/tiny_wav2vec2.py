"""Builds a wav2vec2 model that hears tones: the real loading and recognition path, with known answers.

Each character has a tone of its own, which `speech` plays. The one convolution holds each tone as cosine and sine, both
ways round, since GELU lets only the positive through; the projection adds up the four. The encoder's layers add
nothing. So a frame's logits say which tone is in it, and in silence that nothing is spoken (the CTC blank).
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
)

SAMPLE_RATE = 16_000
FRAME = 320
"""Samples that one output of the model is made of, as in real wav2vec2 models; tones are multiples of its rate."""
FIRST_TONE = 4
"""Times 50 Hz."""
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "|")
"""The first is the CTC blank, the last stands between words."""
BLANK_LOGIT = 10.0
"""Against 0 for the rest: silence is as good as certain, or whisperx would end a text too early."""
LOGIT = 20.0
"""Of the tone that is heard."""

Audio = NDArray[np.float32]


def build_tiny_wav2vec2(directory: Path, characters: Sequence[str], silent: int = 0) -> Path:
    """characters: at most 140. silent: so many of them, from the lowest tone on, are taken for silence; speech is loud
    there, and tones above it are heard in it. Returns `directory`, which is created."""
    directory.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *characters])}
    (directory / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    tokenizer = Wav2Vec2CTCTokenizer(str(directory / "vocab.json"))
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(directory)
    model = Wav2Vec2ForCTC(configuration(len(vocabulary), len(characters)))
    with torch.no_grad():
        script(model, len(characters), silent)
    model.save_pretrained(directory)
    return directory


def speech(text: str, characters: Sequence[str], seconds: float) -> Audio:
    """Each character's tone for one frame, then silence up to `seconds` (a multiple of 0.02): as real models hear, that
    say a character once and then the blank. What has no tone is silence."""
    slot = round(seconds * SAMPLE_RATE)
    time = np.arange(FRAME) / SAMPLE_RATE
    audio = np.zeros((len(text), slot), np.float32)
    for place, character in zip(audio, text, strict=True):
        if character in characters:
            place[:FRAME] = np.cos(2 * np.pi * hertz(characters.index(character)) * time) / 2
    return audio.reshape(-1)


def hertz(number: int) -> float:
    return (FIRST_TONE + number) * SAMPLE_RATE / FRAME


def configuration(vocabulary: int, width: int) -> Wav2Vec2Config:
    return Wav2Vec2Config(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=4,
        feat_extract_norm="layer",
        conv_dim=(4 * width,),
        conv_kernel=(FRAME,),
        conv_stride=(FRAME,),
        num_conv_pos_embeddings=2,
        num_conv_pos_embedding_groups=1,
        pad_token_id=SPECIAL.index("<pad>"),
    )


def script(model: Wav2Vec2ForCTC, width: int, silent: int) -> None:
    """width: of the encoder, one dimension per character."""
    heard = model.wav2vec2
    heard.feature_extractor.conv_layers[0].conv.weight.copy_(tones(width).unsqueeze(1))
    projection = heard.feature_projection.projection
    projection.weight.copy_(torch.eye(width).repeat(1, 4))
    projection.bias.zero_()
    heard.encoder.pos_conv_embed.conv.parametrizations.weight.original0.zero_()
    heard.encoder.pos_conv_embed.conv.bias.zero_()
    for layer in (heard.encoder.layers[0].attention.out_proj, heard.encoder.layers[0].feed_forward.output_dense):
        layer.weight.zero_()
        layer.bias.zero_()
    model.lm_head.weight.zero_()
    model.lm_head.weight[len(SPECIAL) :] = torch.eye(width) * (LOGIT / peak(width))
    model.lm_head.weight[len(SPECIAL) : len(SPECIAL) + silent] = 0
    model.lm_head.bias.zero_()
    model.lm_head.bias[0] = BLANK_LOGIT


def tones(width: int) -> torch.Tensor:
    """Shape [4 × width, FRAME]: all cosines, all of them upside down, and the sines alike."""
    phase = 2 * torch.pi * torch.arange(FRAME) / SAMPLE_RATE * torch.tensor([[hertz(n)] for n in range(width)])
    return torch.cat([phase.cos(), -phase.cos(), phase.sin(), -phase.sin()])


def peak(width: int) -> float:
    """The largest value of a one-hot vector after layer normalisation."""
    return float((width - 1) ** 0.5)
