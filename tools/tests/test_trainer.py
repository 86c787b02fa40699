"""Steps of training lower the loss, what was begun can be gone on with, and what stands for what adds up."""

import random
import re
from dataclasses import asdict, replace

import pytest
import torch
from conftest import ABSENT

from sat_tools.checkpoint import CheckpointError
from sat_tools.classes import NUMBERS, read_classes
from sat_tools.heads import FINAL_SPACING, FINAL_WINDOW, MIX, PHASES, Prompts, RandomHeads, mix_at, phase_at
from sat_tools.labels import label_weights
from sat_tools.losses import auxiliary_loss, query_loss
from sat_tools.meanings import teach_meanings
from sat_tools.network import SAT_MINI, SatNetwork
from sat_tools.sample import chances, choose_voxels
from sat_tools.start import load_own, save_half
from sat_tools.text import TextEncoder, mini_config
from sat_tools.trainer import AVERAGES, Asked, Schedule, Trainer, World


@pytest.fixture()
def prompts():
    return Prompts(read_classes(), ABSENT)


def trainer(tiny, tokenizer, prompts, ball, out, steps, seed=0, **options):
    torch.manual_seed(seed)
    text = TextEncoder(mini_config(tokenizer.get_vocab_size()), tiny.query_width)
    return Trainer(
        Asked(SatNetwork(tiny), text, len(NUMBERS)),
        tokenizer,
        RandomHeads([ball], prompts, 1, 1000, 8, 4000),
        Schedule(steps, 2e-3, warm=2, balance=lambda progress: 0.9, auxiliary=lambda progress: 1.0),
        World(2),
        out,
        {"sizes": asdict(tiny), "vocabulary": tokenizer.get_vocab_size()},
        label_weights=label_weights([ball]),
        decay=0.9,
        **options,
    )


def test_steps_lower_both_losses(ball, tiny, prompts, tokenizer, tmp_path):
    training = trainer(tiny, tokenizer, prompts, ball, tmp_path, 15)
    sample = training.samples.sample(0)
    figures = [training.one_step(sample) for _ in range(15)]
    for key in ("query", "auxiliary"):
        assert figures[-1][key] < figures[0][key]
    assert all(torch.isfinite(p).all() for p in training.average.model.parameters())


def test_a_run_is_gone_on_with_as_if_it_had_not_ended(ball, tiny, prompts, tokenizer, tmp_path, capsys):
    (whole := tmp_path / "whole").mkdir(), (broken := tmp_path / "broken").mkdir()
    trainer(tiny, tokenizer, prompts, ball, whole, 6).run()
    first = trainer(tiny, tokenizer, prompts, ball, broken, 6)
    for number in range(3):
        first.one_step(first.samples.sample(number))
    first.save()
    trainer(tiny, tokenizer, prompts, ball, broken, 6, seed=99).run()
    assert "going on from step 3" in capsys.readouterr().out
    one, other = (torch.load(folder / "average-000006.pt", weights_only=True) for folder in (whole, broken))
    assert one["step"] == other["step"] == 6
    for name, weight in one["average"].items():
        assert torch.allclose(weight, other["average"][name], atol=1e-5), name
    assert not [*tmp_path.glob("*/*.part")]


def test_a_run_is_not_gone_on_with_by_other_settings(ball, tiny, prompts, tokenizer, tmp_path):
    trainer(tiny, tokenizer, prompts, ball, tmp_path, 1, settled={"--seed": 1, "--data": ["a"]}).run()
    trainer(tiny, tokenizer, prompts, ball, tmp_path, 1, settled={"--seed": 1, "--data": ["a"]})
    with pytest.raises(CheckpointError, match="begun with another --data"):
        trainer(tiny, tokenizer, prompts, ball, tmp_path, 1, settled={"--seed": 1, "--data": ["b"]})


def test_a_run_that_is_over_says_so(ball, tiny, prompts, tokenizer, tmp_path, capsys):
    trainer(tiny, tokenizer, prompts, ball, tmp_path, 1).run()
    assert "done: " in capsys.readouterr().out
    trainer(tiny, tokenizer, prompts, ball, tmp_path, 1).run()
    assert "nothing left to do" in capsys.readouterr().out


def test_only_the_last_averages_are_kept_where_that_is_asked(ball, tiny, prompts, tokenizer, tmp_path):
    training = trainer(tiny, tokenizer, prompts, ball, tmp_path, 3, kept=replace(AVERAGES, last=2))
    for number in range(3):
        training.one_step(training.samples.sample(number))
        training.save()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["average-000002.pt", "average-000003.pt", "checkpoint.pt"]


def test_what_has_no_share_of_the_rate_stays_as_it_is(ball, tiny, prompts, tokenizer, tmp_path):
    training = trainer(
        tiny, tokenizer, prompts, ball, tmp_path, 5, shares=lambda name: 0.0 if name.startswith("text.") else 1.0
    )
    before = {name: weight.clone() for name, weight in training.model.named_parameters()}
    training.one_step(training.samples.sample(0))
    moved = {name.split(".")[0] for name, weight in training.model.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == {"network", "auxiliary"}


def test_what_was_trained_is_what_is_exported(ball, tiny, prompts, tokenizer, tmp_path):
    training = trainer(tiny, tokenizer, prompts, ball, tmp_path, 2)
    training.run()
    model, about = load_own(tmp_path / "average-000002.pt")
    assert model.auxiliary is None and about["sizes"]["features"] == tiny.features
    state = training.average.model.network.state_dict()
    assert all(torch.equal(w, state[name]) for name, w in model.network.state_dict().items())


def test_text_encoder_learns_its_words(prompts, tiny, tokenizer):
    torch.manual_seed(0)
    text = TextEncoder(mini_config(tokenizer.get_vocab_size()), tiny.query_width)
    said = []
    teach_meanings(text, tokenizer, prompts, 200, 0, said.append)
    assert float(re.search(r"loss ([\d.]+)", said[0])[1]) < 0.4


def test_chosen_voxels_stand_for_all(ball):
    labels = torch.from_numpy(ball.labels)
    chosen, stand_for = choose_voxels(chances(labels > 0, 20_000), torch.Generator().manual_seed(0))
    assert len(chosen) == pytest.approx(20_000, rel=0.05)
    assert float(stand_for.sum()) == pytest.approx(labels.numel(), rel=0.05)
    chosen, stand_for = choose_voxels(chances(labels > 0, 2_000_000), torch.Generator())
    assert len(chosen) == labels.numel() and (stand_for == 1).all()


def test_absent_things_have_empty_masks(ball, prompts):
    labels = torch.from_numpy(ball.labels).flatten()
    texts, masks = prompts.draw(labels, False, 20, random.Random(3))
    for text, mask in zip(texts, masks):
        if text in ABSENT:
            assert not mask.any()
    assert sum(t in ABSENT for t in texts) == 2
    assert masks.shape == (20, labels.numel())


def test_a_stripped_head_is_not_asked_for_its_outline(ball, prompts):
    labels = torch.from_numpy(ball.labels).flatten()
    phrases = next(c for c in read_classes() if c.name == "head").phrases()
    asked = {t for seed in range(20) for t in prompts.draw(labels, True, 40, random.Random(seed))[0]}
    assert asked.isdisjoint(phrases)


def test_a_perfect_answer_costs_nothing_and_a_wrong_one_much():
    masks = torch.zeros(2, 1000, dtype=torch.bool)
    masks[0, :50] = True
    ones = torch.ones(1000)
    good, dice = query_loss(torch.where(masks, 20.0, -20.0), masks, ones)
    bad, _ = query_loss(torch.where(masks, -20.0, 20.0), masks, ones)
    assert float(good) < 0.05 < 1 < float(bad)
    assert dice[0] > 0.99 and dice[1].isnan()


def test_the_worst_of_answers_still_says_which_way_is_better():
    """Everything found in an image of nothing."""
    logits = torch.full((1, 500_000), 3.0, requires_grad=True)
    loss, _ = query_loss(logits, torch.zeros(1, 500_000, dtype=torch.bool), torch.ones(500_000))
    loss.backward()
    assert 20 < float(loss) < 200 and float(logits.grad.sum()) > 1


def test_an_image_of_nothing_has_a_loss():
    scores, labels, ones = torch.randn(5, 100), torch.zeros(100), torch.ones(100)
    assert torch.isfinite(auxiliary_loss(scores, labels, ones, torch.ones(5)))
    loss, dice = query_loss(torch.randn(3, 100), torch.zeros(3, 100, dtype=torch.bool), ones)
    assert torch.isfinite(loss) and dice.isnan().all()


def test_samples_depend_on_seed_and_number_only(ball, prompts):
    def sample(seed):
        return RandomHeads([ball], prompts, seed, 100, 8, 4000).sample(20)

    a, b, c = sample(1), sample(1), sample(2)
    assert torch.equal(a.image, b.image) and torch.equal(a.masks, b.masks) and a.texts == b.texts
    assert not torch.equal(a.image, c.image)


def test_workers_share_the_samples_out_in_order(ball, prompts):
    heads = RandomHeads([ball], prompts, 1, 1000, 8, 4000)
    heads.numbers = range(3, 9)
    alone = [s.image.sum() for s in heads]
    shared = [s.image.sum() for s in torch.utils.data.DataLoader(heads, batch_size=None, num_workers=2)]
    assert torch.equal(torch.stack(alone), torch.stack(shared))


def test_phases_go_from_coarse_to_fine():
    spacings = [phase_at(n / 20).spacing for n in range(21)]
    assert spacings == sorted(spacings, reverse=True) and spacings[0] == 5.0 and spacings[-1] == FINAL_SPACING
    stride = SAT_MINI.stride
    assert all(n % stride == 0 for phase in PHASES for _, window in phase.windows for n in window)
    assert PHASES[-1].windows[-1][1] == FINAL_WINDOW
    for progress in (0.0, 0.5, 1.0):
        assert sum(mix_at(progress).values()) == pytest.approx(1) and set(mix_at(progress)) == set(MIX)


def test_half_the_precision_is_half_the_size_and_can_be_gone_on_from(ball, tiny, prompts, tokenizer, tmp_path):
    training = trainer(tiny, tokenizer, prompts, ball, tmp_path, 1)
    training.run()
    whole, half = tmp_path / "average-000001.pt", tmp_path / "half.pt"
    save_half(whole, half)
    assert half.stat().st_size < 0.7 * whole.stat().st_size
    (one, about), (other, same) = load_own(whole), load_own(half)
    assert about == same
    for name, weight in one.state_dict().items():
        assert torch.allclose(weight, other.state_dict()[name], atol=1e-2, rtol=1e-2)
