"""What the text encoder of sat-mini learns before it meets an image: which labels a name means, whatever the wording."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import nn

from .classes import NUMBERS
from .heads import Prompts
from .text import MODALITIES, TextEncoder, encode_texts

SEEN = ("ct", "mri")


def teach_meanings(text: TextEncoder, tokenizer: Tokenizer, prompts: Prompts, steps: int, seed: int, report=print) -> None:
    """As SAT teaches its own (there from definitions and atlases, here from the table). Fresh queries differ so little from one
    another that the decoder takes very long to tell them apart."""
    chooser = random.Random(f"text/{seed}")
    meanings = nn.Linear(text.query_width, len(NUMBERS))
    nn.init.normal_(text.modality_embed.weight, std=0.02)
    parameters = [*text.parameters(), *meanings.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=steps)
    # A prompt for what is not in a head has no labels at all; that is a meaning too.
    everything = [(p, prompts.members[i]) for i, ps in enumerate(prompts.phrases) for p in ps]
    nothing = torch.zeros(len(NUMBERS), dtype=torch.bool)
    for step in range(steps):
        batch = chooser.choices(everything, k=48) + [(chooser.choice(prompts.absent), nothing) for _ in range(16)]
        ids, mask = encode_texts(tokenizer, [p for p, _ in batch])
        modality = torch.tensor([MODALITIES[chooser.choice(SEEN)] for _ in batch])
        query = text(ids, mask, modality)
        truth = torch.stack([m for _, m in batch]).float()
        loss = F.binary_cross_entropy_with_logits(meanings(query), truth)
        # Queries of unit size, centred, are what the decoder's first normalisation likes best.
        loss = loss + 0.01 * (query.mean(0).square().mean() + (query.square().mean() - 1).square())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        if step % 200 == 199:
            wrong = ((meanings(query) > 0) != truth.bool()).any(1).float().mean()
            report(f"text {step + 1}: loss {float(loss.detach()):.4f}, prompts with a wrong label {float(wrong):.2f}")
