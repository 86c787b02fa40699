"""A few steps of training lower the loss, and what stands for what adds up."""

import random

import pytest
import torch
from conftest import ABSENT

from sat_tools.classes import NUMBERS, read_classes
from sat_tools.training import (
    Average,
    Prompts,
    RandomHeads,
    SatMini,
    auxiliary_loss,
    choose_voxels,
    label_weights,
    phase_at,
    pretrain_text,
    query_loss,
)


@pytest.fixture()
def prompts(tokenizer):
    return Prompts(tokenizer, read_classes(), ABSENT)


def test_steps_lower_both_losses(ball, tiny, prompts, tokenizer):
    torch.manual_seed(0)
    model = SatMini(tiny, tokenizer.get_vocab_size())
    average = Average(model, 0.9)
    heads = RandomHeads([ball], seed=1)
    image, labels, stripped = heads.item(0, 0.0)
    chosen, stand_for = choose_voxels(labels, 5000, torch.Generator().manual_seed(0))
    picked = labels.flatten()[chosen]
    texts, masks = prompts.draw(picked, stripped, 8, random.Random(0))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(12):
        logits, scores = model(image[None, None].expand(-1, 3, -1, -1, -1), *prompts.encode(texts), chosen)
        asked, _ = query_loss(logits, masks, stand_for, 0.9)
        seen = auxiliary_loss(scores, picked, stand_for, label_weights([ball]))
        optimiser.zero_grad()
        (asked + seen).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update(model)
        losses.append((float(asked.detach()), float(seen.detach())))
    assert losses[-1][0] < losses[0][0] and losses[-1][1] < losses[0][1]
    assert all(torch.isfinite(p).all() for p in average.model.parameters())


def test_text_encoder_learns_its_words(prompts, tiny, tokenizer):
    torch.manual_seed(0)
    model = SatMini(tiny, tokenizer.get_vocab_size())
    said = []
    pretrain_text(model.text, prompts, 200, 0, said.append)
    assert float(said[0].split("loss ")[1].split(",")[0]) < 0.4


def test_chosen_voxels_stand_for_all(ball):
    labels = ball.labels
    chosen, stand_for = choose_voxels(labels, 20_000, torch.Generator().manual_seed(0))
    assert len(chosen) == pytest.approx(20_000, rel=0.05)
    assert float(stand_for.sum()) == pytest.approx(labels.numel(), rel=0.05)


def test_absent_things_have_empty_masks(ball, prompts):
    labels = ball.labels.flatten()
    texts, masks = prompts.draw(labels, False, 20, random.Random(3))
    for text, mask in zip(texts, masks):
        if text in ABSENT:
            assert not mask.any()
    assert sum(t in ABSENT for t in texts) == 2
    assert masks.shape == (20, labels.numel()) and len(NUMBERS) == 54


def test_a_perfect_answer_costs_nothing_and_a_wrong_one_much():
    masks = torch.zeros(2, 1000, dtype=torch.bool)
    masks[0, :50] = True
    ones = torch.ones(1000)
    good, dice = query_loss(torch.where(masks, 20.0, -20.0), masks, ones, 0.0)
    bad, _ = query_loss(torch.where(masks, -20.0, 20.0), masks, ones, 0.0)
    assert float(good) < 0.05 < 1 < float(bad)
    assert dice[0] > 0.99 and dice[1].isnan()


def test_items_depend_on_seed_and_number_only(ball):
    a, b = RandomHeads([ball], 1).item(5, 0.2), RandomHeads([ball], 1, first=3).item(5, 0.2)
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])
    assert not torch.equal(a[0], RandomHeads([ball], 2).item(5, 0.2)[0])


def test_phases_go_from_coarse_to_fine():
    assert [phase_at(p).spacing for p in (0.0, 0.2, 0.5, 1.0)] == [5.0, 3.6, 3.0, 2.5]
