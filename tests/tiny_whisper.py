"""Builds a Whisper model that says one text whatever it hears: the real loading and decoding path, known answers.

The decoder's layers add nothing to the token embeddings, so the next token depends on the last one alone: a chain
over token ids, written into embeddings (one dimension per token of the chain) and projection. The chain is
start of transcript → language → task → <|0.00|> → pieces of the text → end time → end of text. Encoder positions are
one-hot in blocks of BLOCK frames, and where the decoder is about to write a piece, its cross-attention looks at the
piece's own block: so word times are known as well. Token ids are those of OpenAI's multilingual vocabulary.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctranslate2.specs import WhisperSpec
from ctranslate2.specs.attention_spec import MultiHeadAttentionSpec
from ctranslate2.specs.common_spec import LayerNormSpec, LinearSpec
from ctranslate2.specs.transformer_spec import FeedForwardSpec
from faster_whisper.tokenizer import _LANGUAGE_CODES
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from ipc.settings import AsrSettings, Device, StageSettings
from stages.asr.faster_whisper import FasterWhisper
from tests.wine import NO_WHISPER, UNDER_WINE

TEXT = "きょうはきかいがくしゅうについてはなします"
MELS = 80
FRAMES = 1500
"""Encoder positions of a 30 s window."""
BLOCK = 10
"""Encoder positions in which a piece is said; the alignment's median filter smooths over 7."""
SECONDS_PER_PIECE = BLOCK * 0.02
TIMES = 1501
"""Tokens <|0.00|> to <|30.00|>."""
FIRST_SPECIAL = 50257
LOGIT = 30.0
"""Of the next token; the others have none."""
END_BIAS = -10.0
"""Keeps the end of text out of the beam until it is due."""
SHARPNESS = 40.0
"""Of cross-attention: exp(SHARPNESS) times more weight on a token's own block."""

Array = NDArray[np.float32]


def build_tiny_whisper(directory: Path, text: str = TEXT, multilingual: bool = True, mels: int = MELS) -> Path:
    """A model directory that faster-whisper loads. The model says `text`, and takes all speech for Japanese.

    text: at most 149 pieces (see `pieces`); of ASCII punctuation only , . ! ? and '. multilingual: False makes an
    English-only model (`.en`). Returns `directory`, which is created. Skips the test where no model can be loaded.
    """
    if UNDER_WINE:
        pytest.skip(NO_WHISPER)
    directory.mkdir(parents=True, exist_ok=True)
    vocabulary = tokens(text, multilingual)
    chain = [vocabulary.index(token) for token in spoken(text, multilingual)]
    spec = filled_spec(chain, len(pieces(text)), len(vocabulary), mels)
    spec.register_vocabulary(vocabulary)
    spec.config.lang_ids = [vocabulary.index(f"<|{code}|>") for code in languages()]
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [vocabulary.index("<|endoftext|>")]
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.save(str(directory))
    tokenizer(vocabulary).save(str(directory / "tokenizer.json"))
    preprocessor = {"feature_size": mels, "sampling_rate": 16_000, "hop_length": 160, "n_fft": 400, "chunk_length": 30}
    (directory / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    return directory


def whisper_engine(
    model: Path | str, language: str = "ja", device: Device = "cpu", compute_type: str = "float32", **others: Any
) -> FasterWhisper:
    """An engine that is not loaded yet. others: of the settings in config.toml's [asr]."""
    asr = AsrSettings(model=str(model), language=language, device=device, compute_type=compute_type, **others)
    return FasterWhisper("asr", StageSettings(asr=asr))


# --- tokens ----------------------------------------------------------------------------------------


def pieces(text: str) -> list[str]:
    """The text's UTF-8 bytes in pieces of which no two are the same (LZ78), in the byte-level alphabet.

    As in real vocabularies a piece may hold half a character, and no piece ends with a blank: Whisper
    suppresses a blank that stands alone.
    """
    found: list[str] = []
    piece = ""
    for letter in byte_letters(text):
        piece += letter
        if piece not in found and not piece.endswith("Ġ"):
            found.append(piece)
            piece = ""
    if piece:
        found[-1] += piece  # new as well: of each piece, all beginnings came before it
    return found


def byte_letters(text: str) -> str:
    """One letter of the byte-level alphabet for each UTF-8 byte."""
    return "".join(token for token, _ in pre_tokenizers.ByteLevel(False, use_regex=False).pre_tokenize_str(text))


def languages() -> tuple[str, ...]:
    """Codes of the 99 languages that the vocabulary has had from the first; Cantonese came later."""
    return tuple(code for code in _LANGUAGE_CODES if code != "yue")


def tokens(text: str, multilingual: bool) -> list[str]:
    """The whole vocabulary. An English one lacks the empty token before the special ones: by it (before 4.8 by the
    vocabulary's size, which differs by just that token) CTranslate2 tells the two apart."""
    words = list(dict.fromkeys([*sorted(pre_tokenizers.ByteLevel.alphabet()), *pieces(text)]))
    unused = [f"<|unused{number}|>" for number in range(FIRST_SPECIAL - 1 - len(words))]
    times = [f"<|{number * 0.02:.2f}|>" for number in range(TIMES)]
    return [*words, *unused, *([""] if multilingual else []), *special_tokens(), *times]


def special_tokens() -> list[str]:
    names = ["endoftext", "startoftranscript", *languages()]
    names += ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    return [f"<|{name}|>" for name in names]


def spoken(text: str, multilingual: bool) -> Iterator[str]:
    """The chain's tokens, those first after which pieces come (alignment starts from `<|notimestamps|>`); a token's
    next is the one that follows, and `<|0.00|>`'s is the first piece."""
    yield "<|notimestamps|>"
    yield from pieces(text)
    yield f"<|{len(pieces(text)) * SECONDS_PER_PIECE:.2f}|>"
    yield "<|endoftext|>"
    yield "<|startoftranscript|>"
    if multilingual:
        yield from ("<|ja|>", "<|transcribe|>")
    yield "<|0.00|>"


def tokenizer(vocabulary: list[str]) -> Tokenizer:
    """Byte-level, without merges: what is encoded (a glossary) becomes one token per byte."""
    made = Tokenizer(models.BPE({token: index for index, token in enumerate(vocabulary[:-TIMES])}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True) for token in special_tokens()])
    return made


# --- weights ---------------------------------------------------------------------------------------


def filled_spec(chain: list[int], said: int, vocabulary_size: int, mels: int) -> WhisperSpec:
    """chain: token ids in the order of `spoken`, each with a dimension of its own. said: how many are pieces."""
    width = -(-len(chain) // 8) * 8
    one_hot = np.eye(width, dtype=np.float32)
    spec = WhisperSpec(1, 1, 1, 1)
    fill_encoder(spec, one_hot, said, mels)
    fill_decoder(spec, one_hot)
    embeddings, projection = spec.decoder.embeddings, spec.decoder.projection
    embeddings.weight = np.zeros((vocabulary_size, width), np.float32)
    embeddings.weight[chain] = one_hot[: len(chain)]
    projection.weight = np.zeros((vocabulary_size, width), np.float32)
    for dimension, following in enumerate([*chain[1:], chain[1]]):
        projection.weight[following, dimension] = LOGIT / normalised_peak(width)
    projection.bias = np.zeros(vocabulary_size, np.float32)
    projection.bias[chain[said + 2]] = END_BIAS
    return spec


def normalised_peak(width: int) -> float:
    """The largest value of a one-hot vector after layer normalisation."""
    return float((width - 1) ** 0.5)


def fill_encoder(spec: WhisperSpec, one_hot: Array, said: int, mels: int) -> None:
    """Hears nothing: what it says of a frame is the block that the frame lies in."""
    encoder, width = spec.encoder, len(one_hot)
    encoder.conv1.weight = np.zeros((width, mels, 3), np.float32)
    encoder.conv2.weight = np.zeros((width, width, 3), np.float32)
    encoder.conv1.bias = encoder.conv2.bias = np.zeros(width, np.float32)
    blocks = np.minimum(np.arange(FRAMES) // BLOCK, said)  # what comes after the text is one block
    encoder.position_encodings.encodings = one_hot[blocks]
    identity(encoder.layer_norm, width)
    silence_attention(encoder.layer[0].self_attention, width)
    silence_feed_forward(encoder.layer[0].ffn, width)


def fill_decoder(spec: WhisperSpec, one_hot: Array) -> None:
    """Adds nothing to the embeddings; its cross-attention looks from dimension i at block i."""
    decoder, layer, width = spec.decoder, spec.decoder.layer[0], len(one_hot)
    decoder.position_encodings.encodings = np.zeros((448, width), np.float32)
    identity(decoder.layer_norm, width)
    silence_attention(layer.self_attention, width)
    silence_attention(layer.attention, width)
    silence_feed_forward(layer.ffn, width)
    layer.attention.linear[0].weight = one_hot * np.float32(SHARPNESS * width**0.5 / normalised_peak(width) ** 2)
    layer.attention.linear[1].weight = np.concatenate([one_hot, np.zeros_like(one_hot)])


def identity(norm: LayerNormSpec, width: int) -> None:
    norm.gamma = np.ones(width, np.float32)
    norm.beta = np.zeros(width, np.float32)


def silence_attention(attention: MultiHeadAttentionSpec, width: int) -> None:
    """linear: queries, keys and values (self-attention) or queries, then keys and values; then the output."""
    identity(attention.layer_norm, width)
    sizes = (3, 1) if len(attention.linear) == 2 else (1, 2, 1)
    for linear, size in zip(attention.linear, sizes, strict=True):
        silence(linear, size * width, width)


def silence_feed_forward(ffn: FeedForwardSpec, width: int) -> None:
    identity(ffn.layer_norm, width)
    silence(ffn.linear_0, width, width)
    silence(ffn.linear_1, width, width)


def silence(linear: LinearSpec, outputs: int, inputs: int) -> None:
    linear.weight = np.zeros((outputs, inputs), np.float32)
    linear.bias = np.zeros(outputs, np.float32)
