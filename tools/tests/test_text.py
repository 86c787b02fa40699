"""Ids are made as the published code makes them, and any name can be written in pieces."""

import torch

from sat_tools.text import TextEncoder, encode_texts, mini_config


def test_ids_are_cls_pieces_sep_then_padding_with_zero(tokenizer):
    ids, mask = encode_texts(tokenizer, ["Left Thalamus", "brain"])
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    left, thalamus, brain = (tokenizer.token_to_id(w) for w in ("left", "thalamus", "brain"))
    assert ids.tolist() == [[cls, left, thalamus, sep], [cls, brain, sep, 0]]
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]


def test_a_long_prompt_is_cut_and_still_ends_in_sep(tokenizer):
    ids, _ = encode_texts(tokenizer, ["left " * 400])
    assert ids.shape == (1, 256)
    assert ids[0, -1] == tokenizer.token_to_id("[SEP]")


def test_no_word_is_unknown(tokenizer):
    for text in ("lumbar vertebrae 1 (l1)", "xyzzy", "pre-subgenual, t10", "Ménière"):
        assert tokenizer.token_to_id("[UNK]") not in tokenizer.encode(text).ids


def test_padding_does_not_change_a_query(tokenizer):
    torch.manual_seed(0)
    encoder = TextEncoder(mini_config(tokenizer.get_vocab_size()), 24).eval()
    with torch.no_grad():
        ids, mask = encode_texts(tokenizer, ["brain", "left lateral ventricle temporal horn"])
        both = encoder(ids, mask, torch.tensor([1, 1]))
        ids, mask = encode_texts(tokenizer, ["brain"])
        one = encoder(ids, mask, torch.tensor([1]))
    assert torch.allclose(both[:1], one, atol=1e-5)


def test_the_modality_changes_a_query(tokenizer):
    encoder = TextEncoder(mini_config(tokenizer.get_vocab_size()), 24).eval()
    ids, mask = encode_texts(tokenizer, ["brain", "brain"])
    with torch.no_grad():
        ct, mri = encoder(ids, mask, torch.tensor([0, 1]))
    assert not torch.allclose(ct, mri)


def test_key_names_are_the_official_ones(tokenizer):
    keys = TextEncoder(mini_config(tokenizer.get_vocab_size()), 24).state_dict()
    heads = ("text_tower.biolord.", "projection_layer.0.", "projection_layer.2.", "modality_embed.weight")
    assert all(k.startswith(heads) for k in keys)
