"""Writes a tiny llama model of random weights as vLLM reads it; run in vLLM's own virtual environment.

    vllm_model_process.py FOLDER

Answers are nonsense in plain ASCII: tokens are single bytes, and only printable ones have a chance. Random
bytes would be no text, and what a client is told of it could not be compared.
"""

import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WIDTH = 128
SPECIAL = ("<s>", "</s>", "<pad>")
TEMPLATE = (
    "{{ '<s>' }}{% for message in messages %}{{ message['role'] + ': ' + message['content'] + ' ' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
NEVER = -30.0


def tokenizer():
    """Return a tokenizer of bytes."""
    words = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    found = Tokenizer(models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=[]))
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=found, bos_token=SPECIAL[0], eos_token=SPECIAL[1], pad_token=SPECIAL[2]
    )
    fast.chat_template = TEMPLATE
    fast.model_max_length = 2_048
    return fast


def model(vocabulary):
    """Return the model; the first dimension of its stream is constant, and so a bias of the output."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2_048,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        tie_word_embeddings=False,
    )
    llama = LlamaForCausalLM(config)
    with torch.no_grad():
        llama.model.embed_tokens.weight[:, 0] = 3.0
        for layer in llama.model.layers:
            layer.self_attn.o_proj.weight[0].zero_()
            layer.mlp.down_proj.weight[0].zero_()
        for word, number in vocabulary.items():
            is_printable = len(word) == 1 and " " < word <= "~"
            llama.lm_head.weight[number, 0] = 0.0 if is_printable else NEVER
    return llama


if __name__ == "__main__":
    fast = tokenizer()
    fast.save_pretrained(sys.argv[1])
    model(fast.get_vocab()).save_pretrained(sys.argv[1])
