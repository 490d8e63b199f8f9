"""Models of the transformers library, from configs with random weights: counts by hand, and nothing left behind."""

from __future__ import annotations

import os

import pytest
import torch

from gradtui.torch.tracing.trace import trace

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers", reason="transformers has the models")

B, T, D, WIDE, WORDS, DEPTH, HEADS = 2, 16, 32, 64, 101, 2, 4
IDS = torch.ones(B, T, dtype=torch.int64)
PRODUCTS = 2 * B * T * (4 * D * D + 2 * D * WIDE)
SCORES = 2 * B * T * T * D * 2


def bert():
    config = transformers.BertConfig(
        vocab_size=WORDS, hidden_size=D, num_hidden_layers=DEPTH, num_attention_heads=HEADS,
        intermediate_size=WIDE, max_position_embeddings=64,
    )  # fmt: skip
    given = {"input_ids": IDS, "token_type_ids": IDS * 0, "attention_mask": IDS}
    return transformers.BertModel(config), given, DEPTH * (PRODUCTS + SCORES) + 2 * B * D * D


def gpt2():
    config = transformers.GPT2Config(
        vocab_size=WORDS, n_embd=D, n_layer=DEPTH, n_head=HEADS, n_positions=64, n_inner=WIDE
    )
    model = transformers.GPT2LMHeadModel(config)
    return model, {"input_ids": IDS}, DEPTH * (PRODUCTS + SCORES) + 2 * B * T * D * WORDS


def vit():
    config = transformers.ViTConfig(
        hidden_size=D, num_hidden_layers=DEPTH, num_attention_heads=HEADS, intermediate_size=WIDE,
        image_size=32, patch_size=8,
    )  # fmt: skip
    tokens = 17
    layer = 2 * tokens * (4 * D * D + 2 * D * WIDE) + 2 * tokens * tokens * D * 2
    flops = 2 * 16 * D * 3 * 64 + DEPTH * layer + 2 * D * D
    return transformers.ViTModel(config), {"pixel_values": torch.zeros(1, 3, 32, 32)}, flops


def llama():
    config = transformers.LlamaConfig(
        vocab_size=WORDS, hidden_size=D, intermediate_size=WIDE, num_hidden_layers=DEPTH,
        num_attention_heads=HEADS, num_key_value_heads=2,
    )  # fmt: skip
    layer = 2 * B * T * (2 * D * D + 2 * D * D // 2 + 3 * D * WIDE) + SCORES
    # The angles of each place, one for the batch: a product of the frequencies (half a head's) with the places.
    angles = 2 * (D // HEADS // 2) * T
    model = transformers.LlamaForCausalLM(config)
    return model, {"input_ids": IDS}, DEPTH * layer + angles + 2 * B * T * D * WORDS


def t5():
    config = transformers.T5Config(
        vocab_size=WORDS, d_model=D, d_kv=D // HEADS, d_ff=WIDE, num_layers=DEPTH, num_heads=HEADS
    )
    across = 2 * B * T * 4 * D * D + SCORES
    layers = DEPTH * (2 * (PRODUCTS + SCORES) + across)
    given = {"input_ids": IDS, "decoder_input_ids": IDS}
    model = transformers.T5ForConditionalGeneration(config)
    return model, given, layers + 2 * B * T * D * WORDS


# Its rotary embedding asks for an autocast of the device that the input is on, which meta has none of.
NOT_ON_META = {llama}


@pytest.mark.parametrize("make", [bert, gpt2, vit, llama, t5])
def test_a_model_from_a_config(make):
    torch.manual_seed(0)
    model, given, flops = make()
    model.eval()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    with torch.no_grad():
        before = model(**given)[0]
    for stage in ("auto", "meta", "fake", "real"):
        if stage == "meta" and make in NOT_ON_META:
            continue
        graph = trace(model, stage=stage, **given)
        assert graph.complete, (stage, graph.fault)
        assert graph.totals.flops == flops, stage
        assert graph.totals.parameters == parameters
        assert sum(node.parameters for node in graph.nodes) == parameters
    with torch.no_grad():
        assert torch.equal(model(**given)[0], before)
    assert trace(model).totals.parameters == parameters
