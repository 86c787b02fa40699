"""What training minimises."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def query_loss(logits: Tensor, masks: Tensor, stand_for: Tensor, balance: float = 0.0) -> tuple[Tensor, Tensor]:
    """Cross-entropy weighted per prompt so that small structures count, plus Dice where there is something to find.

    Logits and masks [n, voxels]; each voxel stands for `stand_for` of them. With `balance` 1 the inside of a structure weighs
    as much as all that is outside, without which the first thing learnt is to find nothing; with 0 all voxels weigh the same, so
    that 0.5 is a meaningful threshold in the end. Returns the loss and the soft Dice per prompt (nan for empty ones).
    """
    logits, target = logits.float(), masks.float()
    size = target @ stand_for
    rest = stand_for.sum() - size
    inside = (rest / (size + 10)).clamp(min=1.0) ** balance
    scale = size * inside + 1000.0 ** (1 - balance) * rest**balance
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    entropy = ((entropy * (1 + (inside[:, None] - 1) * target)) @ stand_for) / scale
    p = logits.sigmoid()
    dice = (2 * ((p * target) @ stand_for) + 1) / (p @ stand_for + size + 1)
    present = size > 0
    # Much found where nothing is costs thousands: beyond a bound the loss grows with the logarithm, so that one image does not
    # outweigh all others and still tells which way is better.
    bound = 20.0
    entropy = torch.where(entropy > bound, bound * (1 + (entropy.clamp(min=bound) / bound).log()), entropy)
    loss = entropy.mean() + (1 - dice[present]).sum() / len(size)
    return loss, torch.where(present, dice, torch.nan).detach()


def auxiliary_loss(scores: Tensor, labels: Tensor, stand_for: Tensor, weights: Tensor) -> Tensor:
    """Scores [labels, voxels] against label indices [voxels]: cross-entropy, and Dice of every label but 0."""
    scores, labels = scores.float(), labels.long()
    weight = weights[labels] * stand_for
    logs = scores.log_softmax(0)
    entropy = -(logs.gather(0, labels[None])[0] * weight).sum() / weight.sum()
    p = logs.exp()
    size = scores.new_zeros(len(scores)).index_add(0, labels, stand_for)
    hit = scores.new_zeros(len(scores)).index_add(0, labels, p.gather(0, labels[None])[0] * stand_for)
    dice = (2 * hit + 1) / (p @ stand_for + size + 1)
    present = size > 20
    present[0] = False
    if not present.any():
        return entropy
    return entropy + (1 - dice[present]).mean()
