"""The text half of SAT, kind `ours`: words and a modality in, one query vector out.

Any Hugging Face body may sit at `text_tower.biolord` (the official one is BioLORD, an MPNet); its config decides. The
tokens' mean goes through a projection, and an embedding of the modality is added.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, BertConfig, PretrainedConfig

MODALITIES = {"ct": 0, "mri": 1, "us": 2, "pet": 3}
MAX_LENGTH = 256


def mini_config(vocabulary: int) -> BertConfig:
    """The body of sat-mini: two layers, 0.3 M weights, made for a vocabulary of anatomy alone."""
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=MAX_LENGTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


class TextTower(nn.Module):
    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        # Without its pooler the body has only weights that inference uses; official files may carry the pooler.
        self.biolord = AutoModel.from_config(config, add_pooling_layer=False)


class TextEncoder(nn.Module):
    def __init__(self, config: PretrainedConfig, query_width: int) -> None:
        super().__init__()
        self.text_tower = TextTower(config)
        self.projection_layer = nn.Sequential(
            nn.Linear(config.hidden_size, query_width), nn.GELU(), nn.Linear(query_width, query_width)
        )
        self.modality_embed = nn.Embedding(len(MODALITIES), query_width)

    @classmethod
    def from_folder(cls, folder: Path, query_width: int) -> TextEncoder:
        """An encoder with random weights for the body that `folder/config.json` describes."""
        return cls(AutoConfig.from_pretrained(folder, local_files_only=True), query_width)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, modality: Tensor) -> Tensor:
        """Ids and mask [n, length], modality codes [n] -> queries [n, query_width]."""
        tokens = self.text_tower.biolord(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask[:, :, None].to(tokens.dtype)
        mean = (tokens * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
        return self.projection_layer(mean) + self.modality_embed(modality)


def encode_texts(tokenizer: Tokenizer, texts: list[str]) -> tuple[Tensor, Tensor]:
    """Ids and attention mask as the published code makes them: [CLS] + word pieces + [SEP] looked up in the
    vocabulary, cut to 256 with [SEP] kept last, padded with 0; the mask is `id > 0`, whatever id 0 means."""
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    rows = []
    for text in texts:
        ids = [cls, *tokenizer.encode(text.lower(), add_special_tokens=False).ids, sep]
        if len(ids) > MAX_LENGTH:
            ids = [*ids[: MAX_LENGTH - 1], sep]
        rows.append(ids)
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    return ids, (ids > 0).to(torch.int64)
