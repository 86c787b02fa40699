"""Ids are made as the published code makes them, and any name can be written in pieces."""

import official
import pytest
import torch
from transformers import AutoTokenizer, BlipTextConfig

from sat_tools.text import FirstTokenEncoder, TextEncoder, encode_texts, make_body, mini_config
from sat_tools.text_base import read_base


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


def test_first_token_kinds_have_the_tokenizers_own_ids_and_a_mask_by_position(tokenizer):
    ids, mask = encode_texts(tokenizer, ["Left Thalamus", "brain"], "medcpt")
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    left, thalamus, brain = (tokenizer.token_to_id(w) for w in ("left", "thalamus", "brain"))
    assert ids.tolist() == [[cls, left, thalamus, sep], [cls, brain, sep, 0]]
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    ids, mask = encode_texts(tokenizer, ["left " * 400], "basebert")
    assert ids.shape == (1, 64) and ids[0, -1] == sep and mask.all()


def test_a_vocabulary_without_cls_and_sep_has_the_unknown_token_instead():
    """MPNet's id 0 is <s>, which a prompt never has, so that nothing but padding is masked."""
    tokenizer = official.mpnet_tokenizer(["<s>", "<pad>", "</s>", "[UNK]", "brain", "left"])
    ids, mask = encode_texts(tokenizer, ["left brain", "Brain"])
    assert ids.tolist() == [[3, 5, 4, 3], [3, 4, 3, 0]]
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]


def test_a_first_token_query_is_the_bodys_first_state_and_the_modality(tokenizer):
    torch.manual_seed(0)
    encoder = FirstTokenEncoder(mini_config(tokenizer.get_vocab_size()), "medcpt").eval()
    ids, mask = encode_texts(tokenizer, ["brain"], "medcpt")
    with torch.no_grad():
        first = encoder.model(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        assert torch.allclose(
            encoder(ids, mask, torch.tensor([3])) - first, encoder.modality_embed.weight[3:4], atol=1e-6
        )
    assert all(k == "modality_embed.weight" or k.startswith("model.") for k in encoder.state_dict())
    assert not any("pooler" in k for k in encoder.state_dict())


@pytest.mark.parametrize("kind", ["ours", "medcpt", "basebert"])
def test_the_servers_tokenizer_is_the_bases_without_its_habits(kind, tmp_path):
    base = official.base_folder(tmp_path / "base", kind)
    encoder, tokenizer = read_base(base, kind, official.CLASSES, 768)
    assert (encoder.kind, encoder.query_width) == (kind, 768)
    assert tokenizer.truncation is None and tokenizer.padding is None
    theirs = AutoTokenizer.from_pretrained(base)
    long = "lumbar vertebrae 1 of the left and the right side"
    assert tokenizer.encode(long, add_special_tokens=False).ids == theirs.encode(long, add_special_tokens=False)


def test_a_body_of_somebodys_own_code_is_neither_run_nor_asked_for(tmp_path, monkeypatch):
    """The kind of config here has no body in the library, so that it would ask whether to run the folder's."""
    mark = tmp_path / "called"
    (tmp_path / "body.py").write_text(f"open({str(mark)!r}, 'w')\nclass Body: pass\n")
    config = BlipTextConfig(auto_map={"AutoModel": "body.Body"})
    config._name_or_path = str(tmp_path)
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(ValueError, match="custom code|trust_remote_code"):
        make_body(config)
    assert not mark.exists()
