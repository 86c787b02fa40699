"""The text half of SAT: words and a modality in, one query vector out.

Three kinds were published. `ours`: any Hugging Face body at `text_tower.biolord` (the official one is BioLORD, an
MPNet); the tokens' mean goes through a projection. `medcpt` and `basebert`: the first token of a BERT as it is. To
each an embedding of the modality is added. A prompt becomes ids in the way that the kind was trained with.
"""

from __future__ import annotations

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel, BertConfig, PretrainedConfig

MODALITIES = {"ct": 0, "mri": 1, "us": 2, "pet": 3}
MAX_LENGTH = {"ours": 256, "medcpt": 64, "basebert": 64}
"""Most ids of a prompt, by kind."""


def mini_config(vocabulary: int) -> BertConfig:
    """The body of sat-mini: two layers, 0.3 M weights, made for a vocabulary of anatomy alone."""
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=MAX_LENGTH["ours"],
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def make_body(config: PretrainedConfig) -> nn.Module:
    """The body a config describes, with random weights in float32 and without a pooler: none of the kinds uses one, but
    official files may carry its weights. Code that a config may bring is neither run nor asked for."""
    options = {"dtype": torch.float32, "trust_remote_code": False}
    try:
        return AutoModel.from_config(config, add_pooling_layer=False, **options)
    except TypeError:  # some bodies never have one
        return AutoModel.from_config(config, **options)


class TextTower(nn.Module):
    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.biolord = make_body(config)


class TextEncoder(nn.Module):
    """Kind `ours`."""

    kind = "ours"

    def __init__(self, config: PretrainedConfig, query_width: int) -> None:
        super().__init__()
        self.query_width = query_width
        self.text_tower = TextTower(config)
        self.projection_layer = nn.Sequential(
            nn.Linear(config.hidden_size, query_width), nn.GELU(), nn.Linear(query_width, query_width)
        )
        self.modality_embed = nn.Embedding(len(MODALITIES), query_width)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, modality: Tensor) -> Tensor:
        """Ids and mask [n, length], modality codes [n] -> queries [n, query_width]."""
        tokens = self.text_tower.biolord(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask[:, :, None].to(tokens.dtype)
        mean = (tokens * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
        return self.projection_layer(mean) + self.modality_embed(modality)


class FirstTokenEncoder(nn.Module):
    """Kinds `medcpt` and `basebert`; a query is as wide as the body."""

    def __init__(self, config: PretrainedConfig, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.query_width = config.hidden_size
        self.model = make_body(config)
        self.modality_embed = nn.Embedding(len(MODALITIES), config.hidden_size)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, modality: Tensor) -> Tensor:
        """Ids and mask [n, length], modality codes [n] -> queries [n, query_width]."""
        tokens = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return tokens[:, 0] + self.modality_embed(modality)


def encode_texts(tokenizer: Tokenizer, texts: list[str], kind: str = "ours") -> tuple[Tensor, Tensor]:
    """Ids and attention mask as the published code makes them, padded with id 0.

    `ours`: [CLS] + word pieces + [SEP], the mask is `id > 0` whatever id 0 means. The others: the tokenizer's own
    encoding, the mask goes by position. Too long a text is cut with its last id kept [SEP].
    """
    cls, sep, limit = special_id(tokenizer, "[CLS]"), special_id(tokenizer, "[SEP]"), MAX_LENGTH[kind]
    rows = []
    for text in texts:
        if kind == "ours":
            ids = [cls, *tokenizer.encode(text.lower(), add_special_tokens=False).ids, sep]
        else:
            ids = tokenizer.encode(text.lower()).ids
        rows.append(ids if len(ids) <= limit else [*ids[: limit - 1], sep])
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return ids, (ids > 0).to(torch.int64) if kind == "ours" else mask


def special_id(tokenizer: Tokenizer, token: str) -> int:
    """The published code looks [CLS] and [SEP] up by these names, whatever the base tokenizer calls its own; where the
    vocabulary lacks them the id is that of the unknown token."""
    found = tokenizer.token_to_id(token)
    return tokenizer.token_to_id(tokenizer.model.unk_token) if found is None else found
