"""A model folder computes what PyTorch does, says so in its manifest, and appears whole or not at all."""

import hashlib
import os

import nibabel as nib
import numpy as np
import pytest
import torch

import sat_tools.export as export
from sat_tools.export import Description, ExportError, export_model, still_true, strangers, whole_folder
from sat_tools import graphs
from sat_tools.graphs import compute, write_graphs
from sat_tools.inference import Model, importance
from sat_tools.network import SatNetwork
from sat_tools.text import TextEncoder, encode_texts, mini_config

WINDOW = (24, 16, 20)


@pytest.fixture(scope="module")
def exported(tmp_path_factory, tiny, tokenizer):
    torch.manual_seed(3)
    network, text = (
        SatNetwork(tiny).eval(),
        TextEncoder(mini_config(tokenizer.get_vocab_size()), tiny.query_width).eval(),
    )
    image, (ids, mask) = torch.randn(1, 1, *WINDOW), encode_texts(tokenizer, ["left thalamus", "brain"])
    with torch.no_grad():
        query = text(ids, mask, torch.tensor([1, 1]))
        logits = network(image.expand(-1, 3, -1, -1, -1), query)
    folder = tmp_path_factory.mktemp("models")
    description = Description(
        name="tiny",
        version="0.0.1",
        description="nothing learnt",
        architecture="UNET",
        licence="Apache-2.0",
        made_from=[{"what": "chance", "licence": "Apache-2.0"}],
        classes=[{"name": "brain", "modalities": ["mri"]}],
        spacing_mm=(2.0, 2.0, 3.0),
    )
    tokenizer_json = tokenizer.to_str().encode()
    differences = export_model(folder / "tiny", network, text, tokenizer_json, WINDOW, description)
    return folder / "tiny", differences, (image, query, logits)


def test_graphs_agree_with_pytorch(exported):
    assert max(exported[1].values()) < 1e-4


def test_logits_of_the_graphs_one_after_another_are_looked_at(tiny, tokenizer, tmp_path, monkeypatch):
    """Each graph by itself may be well within its own bound."""
    for window in (WINDOW, (24, 32, 20)):
        torch.manual_seed(3)
        text = TextEncoder(mini_config(tokenizer.get_vocab_size()), tiny.query_width).eval()
        (folder := tmp_path / str(window)).mkdir()
        with monkeypatch.context() as patch:
            patch.setattr(graphs, "compute", lambda module, example: [1.01 * x for x in compute(module, example)])
            apart = write_graphs(folder, SatNetwork(tiny), text, window, tokenizer, check_window=WINDOW)
        assert apart["logits"] > 1e-3
        assert {f.name for f in folder.iterdir()} == {"text_encoder.onnx", "query_decoder.onnx", "backbone.onnx"}


def test_the_three_graphs_together_give_the_logits_of_the_three_channel_network(exported):
    folder, _, (image, query, logits) = exported
    model = Model.read(folder)
    asked = model.queries(["left thalamus", "brain"])
    assert np.allclose(asked, query.numpy(), atol=1e-5)
    features, memory = model.backbone.run(["features", "memory"], {"image": image.numpy()})
    for n in (1, 2):
        embedding = model.decoder.run(["mask_embedding"], {"memory": memory, "query": asked[:n]})[0]
        ours = np.einsum("nc,cxyz->nxyz", embedding, features[0])
        assert np.abs(ours - logits[:n].numpy()).max() < 1e-4


def test_manifest_has_sizes_and_hashes(exported):
    folder = exported[0]
    entries = Model.read(folder).entries
    assert entries["format"] == 1 and entries["window"]["size"] == list(WINDOW)
    assert entries["backbone"]["memory_tokens"] == 6 * 4 * 5 and entries["text"]["query_width"] == 24
    assert entries["preparation"]["spacing_mm"] == [2.0, 2.0, 3.0]
    for name, digest in entries["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert {f.name for f in folder.iterdir()} == {*entries["files"], "model.toml"}


def test_a_failed_export_leaves_the_old_folder_and_no_rubbish(tmp_path, tiny, tokenizer, monkeypatch):
    out = tmp_path / "model"
    out.mkdir()
    (out / "model.toml").write_text("old")
    for wrong in (1.0, float("nan")):
        monkeypatch.setattr(export, "write_graphs", lambda *_, wrong=wrong: {"text_encoder": 0.0, "backbone": wrong})
        for place in (out, tmp_path / "new" / "model"):
            with pytest.raises(ExportError, match="backbone"):
                export_model(place, SatNetwork(tiny), None, tokenizer.to_str().encode(), WINDOW, None)
    assert (out / "model.toml").read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["model"]


def test_a_folder_is_swapped_whole(tmp_path):
    out = tmp_path / "model"
    for text in ("one", "two"):
        with whole_folder(out) as part:
            (part / "model.toml").write_text(text)
        assert (out / "model.toml").read_text() == text
    assert [f.name for f in tmp_path.iterdir()] == ["model"]


def test_a_window_that_does_not_fit_the_strides_is_refused(tmp_path, tiny, tokenizer):
    with pytest.raises(ExportError, match="multiple of 4"):
        write_graphs(tmp_path, SatNetwork(tiny), None, (24, 18, 20), tokenizer)


@torch.no_grad()
def test_folding_three_equal_channels_changes_nothing(tiny):
    network = SatNetwork(tiny).eval()
    image = torch.randn(1, 1, 16, 16, 16)
    before = network.encode(image.expand(-1, 3, -1, -1, -1))[0]
    network.backbone.fold_channels()
    assert torch.allclose(network.encode(image)[0], before, atol=1e-4)


def test_a_mask_comes_back_on_the_scans_own_grid(exported):
    model = Model.read(exported[0])
    affine = np.array([[-1.5, 0.1, 0, 20], [0.1, 1.5, 0, -30], [0, 0, 2, 5], [0, 0, 0, 1.0]])
    data = np.random.default_rng(0).uniform(0, 100, (30, 28, 22)).astype(np.float32)
    maps = list(model.segment(nib.Nifti1Image(data, affine), ["brain", "left thalamus"]))
    assert len(maps) == 2
    assert all(p.shape == (30, 28, 22) and (p >= 0).all() and (p <= 1).all() for p in maps)


def test_importance_is_highest_in_the_middle_and_nowhere_zero():
    weight = importance((16, 24, 8))
    assert weight.max() == weight[8, 12, 4] == 10 and weight.min() > 0


def old_model(out):
    out.mkdir()
    (out / "model.toml").write_text("[files]\n'a.onnx' = ''\n")
    (out / "a.onnx").write_text("old")
    return out


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit, OSError])
def test_the_old_model_is_back_when_the_swap_is_interrupted(fatal, tmp_path, monkeypatch):
    out, replace, moves = old_model(tmp_path / "model"), os.replace, []

    def interrupted(source, target):
        moves.append(target)
        if len(moves) == 2:
            raise fatal
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(fatal), whole_folder(out) as part:
        (part / "model.toml").write_text("new")
    assert (out / "a.onnx").read_text() == "old" and len(moves) == 3
    assert [f.name for f in tmp_path.iterdir()] == ["model"]


def test_what_an_export_did_not_make_is_not_replaced(tmp_path):
    """Not even when it came while the new model was made."""
    out = old_model(tmp_path / "model")
    refused = pytest.raises(ExportError, match="holds 'SAT-Nano.pth', which is no part of a model")
    with refused, whole_folder(out) as part:
        (part / "model.toml").write_text("new")
        (out / "SAT-Nano.pth").write_text("gigabytes")
    assert (out / "a.onnx").read_text() == "old" and (out / "SAT-Nano.pth").exists()
    (out / "SAT-Nano.pth").unlink()
    (out / "a.onnx").unlink()
    (out / "a.onnx").mkdir()
    assert strangers(out) == ["a.onnx"]


def test_what_a_killed_export_left_is_cleared_up_and_what_a_living_one_makes_is_not(tmp_path):
    out = tmp_path / "model"
    for name in (".model.export-dead1234", ".model-2.export-dead1234", ".model.export-mine"):
        (tmp_path / name / "new").mkdir(parents=True)
    (tmp_path / ".model.export-mine" / "notes.txt").write_text("a person's own")
    (tmp_path / ".model.export-moved123").mkdir()
    old_model(tmp_path / ".model.export-moved123" / "old")
    with whole_folder(out) as living:
        assert (out / "a.onnx").read_text() == "old"
        with whole_folder(out) as part:
            (part / "model.toml").write_text("new")
        assert living.exists()
        (living / "model.toml").write_text("newer")
    assert (out / "model.toml").read_text() == "newer"
    assert sorted(f.name for f in tmp_path.iterdir()) == [".model-2.export-dead1234", ".model.export-mine", "model"]


@pytest.mark.parametrize("logits", [1.1e-3, float("nan")])
def test_logits_a_thousandth_off_are_refused_in_single_precision(logits, tmp_path, tiny, tokenizer, monkeypatch):
    found = {"text_encoder": 1e-9, "query_decoder": 1e-9, "backbone": 1e-9, "logits": logits}
    monkeypatch.setattr(export, "write_graphs", lambda *_: found)
    with pytest.raises(ExportError, match=r"logits differ by .*, more than 0\.001; nothing was written"):
        export_model(tmp_path / "model", SatNetwork(tiny), None, tokenizer.to_str().encode(), WINDOW, None)
    assert list(tmp_path.iterdir()) == []


def test_what_was_measured_stays_with_the_same_graphs():
    old = {"files": {"backbone.onnx": "1", "tokenizer.json": "2"}, "reduced": {"bf16_lowest_dice": 0.9}}
    assert still_true(old, {"files": {"backbone.onnx": "1", "tokenizer.json": "3"}}) == {"reduced": old["reduced"]}
    assert still_true(old, {"files": {"backbone.onnx": "4", "tokenizer.json": "2"}}) == {}
