"""Writes a llama model of random weights for a real llama.cpp server: nonsense in plain ASCII, real counters.

The residual stream's first dimension is never written to after the embedding, so it reaches the output head
as a constant and serves as the bias that a llama head does not have: every token that is not printable ASCII
gets a logit that is never sampled. The end token is left among the sampled ones, so answers end by themselves
now and then.
"""

import math
from pathlib import Path

import gguf
import numpy as np

__all__ = ["write_tiny_gguf"]

_CONTEXT_LENGTH = 2_048
_WIDTH = 128
_HEADS = 4
_FEED_FORWARD = 320
_BLOCKS = 3
_NORM_EPSILON = 1e-5

_BEGIN, _END, _PADDING = "<s>", "</s>", "<|pad|>"
_SPECIAL_TOKENS = (_BEGIN, _END, _PADDING, "<|system|>", "<|user|>", "<|assistant|>")
_CHAT_TEMPLATE = (
    "{{ '<s>' }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '</s>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
_WHOLE_WORDS = (
    " the",
    " of",
    " and",
    " watt",
    " hour",
    " token",
    " cost",
    " energy",
    " price",
    "ing",
    "er",
    "tion",
)

_CONSTANT = 3.0
_NEVER_LOGIT = -60.0
_END_LOGIT = 1.5
_LOGIT_SPREAD = 2.0
"""Standard deviation: wide enough for the end token to be among the server's forty likeliest at times."""


def write_tiny_gguf(path: Path, seed: int = 0) -> None:
    """Write the model; the same seed gives the same bytes.

    Args:
        path: The file to write, 2.6 MB.
        seed: Of the weights.
    """
    tokens, merges = _vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    _add_shape(writer, vocabulary_size=len(tokens))
    _add_tokenizer(writer, tokens, merges)
    for name, tensor in _tensors(tokens, np.random.default_rng(seed)).items():
        writer.add_tensor(name, tensor.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _byte_characters() -> dict[int, str]:
    """Return the printable character that byte-level BPE writes for each byte (GPT-2's table)."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def _vocabulary() -> tuple[list[str], list[str]]:
    """Return all tokens, specials first, and the merges that spell the whole words from left to right."""
    characters = _byte_characters()
    tokens = [*_SPECIAL_TOKENS, *(characters[byte] for byte in range(256))]
    merges = []
    for word in _WHOLE_WORDS:
        piece, *rest = (characters[byte] for byte in word.encode("ascii"))
        for character in rest:
            merge = f"{piece} {character}"
            piece += character
            if piece not in tokens:
                merges.append(merge)
                tokens.append(piece)
    return tokens, merges


def _add_shape(writer: gguf.GGUFWriter, *, vocabulary_size: int) -> None:
    writer.add_name("tiny-llama")
    writer.add_context_length(_CONTEXT_LENGTH)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_BLOCKS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(_NORM_EPSILON)
    writer.add_vocab_size(vocabulary_size)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def _add_tokenizer(writer: gguf.GGUFWriter, tokens: list[str], merges: list[str]) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token in _SPECIAL_TOKENS else gguf.TokenType.NORMAL for token in tokens]
    )
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index(_BEGIN))
    writer.add_eos_token_id(tokens.index(_END))
    writer.add_pad_token_id(tokens.index(_PADDING))
    writer.add_add_bos_token(False)
    writer.add_chat_template(_CHAT_TEMPLATE)


def _tensors(tokens: list[str], random: np.random.Generator) -> dict[str, np.ndarray]:
    def weights(rows: int, columns: int) -> np.ndarray:
        return random.normal(0.0, 1 / math.sqrt(columns), (rows, columns))

    def into_stream(columns: int) -> np.ndarray:
        matrix = weights(_WIDTH, columns)
        matrix[0] = 0.0
        return matrix

    tensors: dict[str, np.ndarray] = {}
    for block in (f"blk.{i}" for i in range(_BLOCKS)):
        tensors |= {
            f"{block}.attn_norm.weight": np.ones(_WIDTH),
            f"{block}.attn_q.weight": weights(_WIDTH, _WIDTH),
            f"{block}.attn_k.weight": weights(_WIDTH, _WIDTH),
            f"{block}.attn_v.weight": weights(_WIDTH, _WIDTH),
            f"{block}.attn_output.weight": into_stream(_WIDTH),
            f"{block}.ffn_norm.weight": np.ones(_WIDTH),
            f"{block}.ffn_gate.weight": weights(_FEED_FORWARD, _WIDTH),
            f"{block}.ffn_up.weight": weights(_FEED_FORWARD, _WIDTH),
            f"{block}.ffn_down.weight": into_stream(_FEED_FORWARD),
        }
    embedding = random.normal(0.0, 1.0, (len(tokens), _WIDTH))
    embedding[:, 0] = _CONSTANT
    return tensors | {
        "token_embd.weight": embedding,
        "output_norm.weight": np.ones(_WIDTH),
        "output.weight": _output_head(tokens, random),
    }


def _output_head(tokens: list[str], random: np.random.Generator) -> np.ndarray:
    """Return the head; the last norm gives its input a mean square of one, so logits spread as said."""
    head = random.normal(0.0, _LOGIT_SPREAD / math.sqrt(_WIDTH), (len(tokens), _WIDTH))
    logits = [0.0 if _is_plain_ascii(token) else _NEVER_LOGIT for token in tokens]
    logits[tokens.index(_END)] = _END_LOGIT
    head[:, 0] = np.array(logits) / _constant_after_norm()
    return head


def _constant_after_norm() -> float:
    """Return about the first dimension after the last norm; the others have a mean square near one."""
    return _CONSTANT / math.sqrt(_CONSTANT**2 / _WIDTH + 1)


def _is_plain_ascii(token: str) -> bool:
    space = _byte_characters()[ord(" ")]
    return token not in _SPECIAL_TOKENS and token.replace(space, "").isascii()
