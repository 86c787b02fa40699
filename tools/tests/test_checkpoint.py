"""Checkpoints are read without running anything, and what does not fit is refused by name."""

import argparse
import collections
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from sat_tools.checkpoint import CheckpointError, fit_sat, fit_text, read_checkpoint
from sat_tools.network import UNET, UNET_H, UNET_L, SatNetwork, Sizes
from sat_tools.text import FirstTokenEncoder, TextEncoder, mini_config

TINY = Sizes((8, 8, 16), 2, 16, 24, 24, 16, layers=2, heads=2, feedforward=32)


class Call:
    """What a pickle can carry: something to call when it is opened."""

    def __init__(self, what, *arguments):
        self.what, self.arguments = what, arguments

    def __reduce__(self):
        return self.what, self.arguments


def save(path, state, **more):
    torch.save({"step": 3, "model_state_dict": state, **more}, path)
    return path


def official(module):
    """As published: the two names of a weight share what is saved, so that damage to it is damage to both."""
    return {f"module.{name}": weight for name, weight in module.state_dict().items()}


def sparse_on_disk(sizes):
    """All weights of an official network, in a file of a few kilobytes: each is one number seen many times."""
    with torch.device("meta"):
        state = SatNetwork(sizes).state_dict()
    return {f"module.{name}": torch.tensor(0.5).expand(weight.shape) for name, weight in state.items()}


def fit(state, path, sizes=TINY, name="UNET"):
    with torch.device("meta"):
        network = SatNetwork(sizes)
    fit_sat(network, read_checkpoint(save(path, state)), path, name)
    return network


@pytest.fixture()
def path(tmp_path):
    return tmp_path / "SAT.pth"


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return official(SatNetwork(TINY))


def test_weights_come_as_they_were_saved(state, path):
    network = fit(state, path)
    found = network.state_dict()
    assert all(torch.equal(found[name.removeprefix("module.")], weight) for name, weight in state.items())
    block = network.backbone.encoder.stages[0][0].convs[0]
    assert block.conv is block.all_modules[0] and block.conv.weight is block.all_modules[0].weight


def test_a_weight_may_come_under_one_of_its_two_names(state, path):
    for left_out in (".all_modules.", ".conv."):
        some = {k: v for k, v in state.items() if left_out not in k}
        assert len(some) < len(state)
        fit(some, path)


def test_two_names_that_disagree_are_refused(state, path):
    twin = "module.backbone.decoder.stages.0.convs.1.all_modules.0.bias"
    with pytest.raises(CheckpointError, match=r"stages\.0\.convs\.1\.conv\.bias and .*all_modules\.0\.bias"):
        fit({**state, twin: state[twin] + 1}, path)


def test_extras_of_deep_supervision_are_left_unused_whatever_their_shape(state, path):
    fit({**state, "module.mid_mask_embed_proj.1.2.weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=r"1 unexpected: backbone\.seg_layers\.0\.weight"):
        fit({**state, "module.backbone.seg_layers.0.weight": torch.zeros(3)}, path)


def test_all_faults_come_in_one_line(state, path):
    broken = dict(state)
    lost = [k for k in state if "transformer_decoder.layers" in k]
    for name in lost:
        del broken[name]
    broken["module.mask_embed_proj.0.weight"] = torch.zeros(2, 24)
    broken["module.projection_layer.0.bias"] = torch.zeros(16, dtype=torch.int64)
    broken["module.projection_layer.2.bias"] = torch.tensor([float("nan")] * 24)
    broken["module.transformer_decoder.norm.bias"] = torch.full((24,), float("inf"))
    broken["module.strange"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as error:
        fit(broken, path)
    message = str(error.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert f"{len(lost)} missing: transformer_decoder.layers.0." in message and f"and {len(lost) - 20} more" in message
    assert "mask_embed_proj.0.weight is [2, 24], not [16, 24]" in message
    assert "projection_layer.0.bias is torch.int64" in message
    assert "1 unexpected: strange" in message
    assert "2 with NaN or infinite values: projection_layer.2.bias, transformer_decoder.norm.bias" in message


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_become_float32(state, path, dtype):
    network = fit({k: v.to(dtype) for k, v in state.items()}, path)
    assert {p.dtype for p in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("old_format", [False, True])
def test_numpy_scalars_beside_the_weights_are_read(state, path, old_format):
    content = {"step": np.int64(7), "loss": np.float32(0.5), "model_state_dict": state, "lr": [np.float64(1e-4)]}
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    assert len(read_checkpoint(path)) == len(state)


def test_numpy_scalars_of_numpy_1_are_read(state, tmp_path):
    torch.save({"step": np.int64(7), "model_state_dict": state}, tmp_path / "new.pth")
    with zipfile.ZipFile(tmp_path / "new.pth") as new, zipfile.ZipFile(tmp_path / "old.pth", "w") as old:
        for name in new.namelist():
            content = new.read(name)
            if name.endswith("data.pkl"):
                content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
                assert b"cnumpy.core.multiarray\nscalar" in content
            old.writestr(name, content)
    assert len(read_checkpoint(tmp_path / "old.pth")) == len(state)


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("place", ["beside", "inside"])
def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(state, path, tmp_path, old_format, place):
    mark = tmp_path / "called"
    call = Call(os.system, f"touch {mark}")
    content = {"model_state_dict": {**state, "module.x": call} if place == "inside" else state, "x": call}
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(CheckpointError, match=r"wants to call (posix|nt)\.system.*do not trust"):
        read_checkpoint(path)
    assert not mark.exists()


def test_a_bare_pickle_that_calls_something_is_no_checkpoint(path, tmp_path):
    mark = tmp_path / "called"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps({"model_state_dict": Call(os.system, f"touch {mark}")}, protocol))
        with pytest.raises(CheckpointError):
            read_checkpoint(path)
    assert not mark.exists()


@pytest.mark.parametrize("old_format", [False, True])
def test_a_truncated_file_is_called_that(state, path, old_format):
    torch.save({"model_state_dict": state}, path, _use_new_zipfile_serialization=not old_format)
    whole = path.read_bytes()
    for part in (0.3, 0.7, 0.99):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(CheckpointError, match="cut off.*download it again"):
            read_checkpoint(path)


def in_the_middle_of_a_weight(path):
    """Where a large record's bytes lie in a file."""
    with zipfile.ZipFile(path) as archive:
        entry = max(archive.infolist(), key=lambda e: e.file_size)
        assert entry.file_size > 4000
    return entry.header_offset + entry.file_size // 2


def test_a_file_with_damaged_weights_is_refused(state, path):
    save(path, state)
    with path.open("r+b") as file:
        file.seek(in_the_middle_of_a_weight(path))
        file.write(bytes(2000))
    with pytest.raises(CheckpointError, match="damaged at its entry .*data.*; download it again"):
        read_checkpoint(path)


def test_a_file_that_was_packed_again_is_refused(state, path, tmp_path):
    """Its weights are mapped where they lie, so compressed bytes would be weights; and a small file could unfold to a
    huge one."""
    save(tmp_path / "new.pth", state)
    with zipfile.ZipFile(tmp_path / "new.pth") as new, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in new.namelist():
            packed.writestr(name, new.read(name))
    with pytest.raises(CheckpointError, match="compressed entries .*data.pkl.*not packed again"):
        read_checkpoint(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_two_entries_of_one_name_is_refused(state, path):
    save(path, state)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[0], b"")
    with pytest.raises(CheckpointError, match="damaged .two entries of one name.; download it again"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "harmless", [argparse.Namespace(lr=1e-4), collections.defaultdict(list, {"loss": [0.5]})], ids=["Namespace", "dict"]
)
def test_a_harmless_extra_is_refused_without_alarm(harmless, state, path):
    save(path, state, args=harmless)
    with pytest.raises(CheckpointError, match="wants to call (argparse|collections)") as error:
        read_checkpoint(path)
    assert "trust" not in str(error.value) and "save its tensors alone" in str(error.value)


def test_a_weight_without_data_is_misshapen(state, path):
    name = "module.projection_layer.0.weight"
    with pytest.raises(CheckpointError, match=r"1 misshapen: projection_layer\.0\.weight has a shape but no data"):
        fit({**state, name: state[name].to("meta")}, path)


@pytest.mark.parametrize("place", ["weight", "no weight", "beside"])
def test_names_from_a_file_reach_the_terminal_escaped_and_cut(place, state, path):
    name = "backbone.\n\x1b[31mred" + "x" * 10_000
    content = {
        "weight": {"model_state_dict": {**state, name: torch.zeros(1)}},
        "no weight": {"model_state_dict": {name: 3}},
        "beside": {name: 3},
    }[place]
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"backbone\.\\n\\x1b\[31mredxxx.*\.\.\.") as error, torch.device("meta"):
        fit_sat(SatNetwork(TINY), read_checkpoint(path), path, "UNET")
    assert str(error.value).isprintable() and len(str(error.value)) < 500 + len(str(path))


@pytest.mark.parametrize(
    "content, fault",
    [
        (b"", "cut off after 0 bytes"),
        (b"hello world, this is not a checkpoint at all", "not a PyTorch checkpoint"),
        (bytes(range(256)) * 40, "not a PyTorch checkpoint"),
        (b"<!DOCTYPE html><html>Sign in</html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
    ],
)
def test_what_is_no_checkpoint_is_called_what_it_is(content, fault, path):
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=fault) as error:
        read_checkpoint(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_an_archive_of_something_else_is_no_checkpoint(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/readme.txt", "hello")
    with pytest.raises(CheckpointError, match="not a PyTorch checkpoint"):
        read_checkpoint(path)


def test_a_path_that_is_no_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        read_checkpoint(tmp_path / "absent.pth")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "content, fault",
    [
        ({"state_dict": {}}, "no `model_state_dict` in it, but a dictionary with state_dict"),
        ([1, 2], "no `model_state_dict` in it, but list"),
        ({"model_state_dict": {}}, "holds nothing"),
        ({"model_state_dict": {"a": torch.zeros(1), "b": 3}}, "holds b where tensors"),
        ({"model_state_dict": None}, "is of type NoneType, not a dictionary"),
        ({"model_state_dict": [torch.zeros(1)]}, "is of type list, not a dictionary"),
        ({"model_state_dict": torch.zeros(1)}, "is of type Tensor, not a dictionary"),
        (
            {"model_state_dict": {"module.a": torch.zeros(1), "a": torch.ones(1), "b": torch.zeros(1)}},
            "1 weights are there with and without `module.`.*: a; give",
        ),
    ],
)
def test_other_contents_are_refused(content, fault, path):
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=fault):
        read_checkpoint(path)


TEXT = {
    "module.text_tower.biolord.embeddings.word_embeddings.weight": torch.zeros(9, 4),
    "module.projection_layer.0.weight": torch.zeros(4, 4),
    "module.modality_embed.weight": torch.zeros(4, 4),
}
PRETRAINING = {**TEXT, "module.atlas_tower.encoder.stages.0.0.convs.0.conv.weight": torch.zeros(1, 3, 3, 3, 3)}
FIRST_TOKEN = {"module.model.embeddings.word_embeddings.weight": torch.zeros(9, 4)}


@pytest.mark.parametrize(
    "given, what",
    [
        (TEXT, "this is a text encoder of kind ours.*give it as --text-checkpoint"),
        (FIRST_TOKEN, "this is a text encoder of kind medcpt or basebert.*give it as --text-checkpoint"),
        (PRETRAINING, "with the knowledge encoder of pre-training.*give it as --text-checkpoint, if it was published"),
        ({"module.head.weight": torch.zeros(3)}, "this is something else"),
    ],
)
def test_another_file_given_as_sat_is_called_what_it_is(given, what, path):
    with pytest.raises(CheckpointError, match=what):
        fit(given, path)


@pytest.mark.parametrize("right, wrong", [(UNET_L, "UNET"), (UNET, "UNET-L"), (UNET_H, "UNET")])
def test_weights_of_another_size_are_called_what_they_are(right, wrong, path):
    sizes = {"UNET": UNET, "UNET-L": UNET_L, "UNET-H": UNET_H}
    name = next(n for n, s in sizes.items() if s is right)
    with pytest.raises(CheckpointError, match=f"those of {name}, not of {wrong}; pass --backbone {name}"):
        fit(sparse_on_disk(right), path, sizes[wrong], wrong)


@pytest.mark.parametrize("sizes, name", [(UNET, "UNET"), (UNET_L, "UNET-L"), (UNET_H, "UNET-H")])
def test_official_names_and_shapes_are_accepted(sizes, name, path):
    network = fit(sparse_on_disk(sizes), path, sizes, name)
    assert not any(weight.is_meta for weight in network.state_dict().values())


def test_a_sat_checkpoint_given_as_text_is_called_that(state, path):
    encoder = TextEncoder(mini_config(50), 24)
    with pytest.raises(CheckpointError, match="this is a SAT checkpoint.*give this file as --checkpoint"):
        fit_text(encoder, read_checkpoint(save(path, state)), path, "ours")


def test_a_text_encoder_of_another_kind_is_called_that(path):
    ours, theirs = TextEncoder(mini_config(50), 24), FirstTokenEncoder(mini_config(50), "medcpt")
    with pytest.raises(CheckpointError, match="kind medcpt or basebert, but --text-encoder says ours"):
        fit_text(ours, read_checkpoint(save(path, official(theirs))), path, "ours")
    with pytest.raises(CheckpointError, match="kind ours, but --text-encoder says medcpt; pass --text-encoder ours"):
        fit_text(theirs, read_checkpoint(save(path, official(ours))), path, "medcpt")


def test_a_text_encoder_may_carry_what_it_was_pretrained_with(path):
    encoder = TextEncoder(mini_config(50), 24)
    weights = official(encoder)  # now: a fitted encoder's lie in the file, which is written again
    extras = {
        "module.atlas_tower.proj.weight": torch.zeros(2),
        "module.temperature": torch.tensor(1.0),
        "module.text_tower.biolord.embeddings.position_ids": torch.arange(512)[None],
        "module.text_tower.biolord.pooler.dense.weight": torch.zeros(1, 2),
    }
    assert fit_text(encoder, read_checkpoint(save(path, weights)), path, "ours") is None
    note = fit_text(encoder, read_checkpoint(save(path, {**weights, **extras})), path, "ours")
    assert "carries the atlas_tower of pre-training" in note and "published beside the SAT checkpoint" in note
    with pytest.raises(CheckpointError, match="unexpected: text_tower.biolord.lm_head.weight"):
        more = {"module.text_tower.biolord.lm_head.weight": torch.zeros(2)}
        fit_text(encoder, read_checkpoint(save(path, {**weights, **more})), path, "ours")


def test_a_pretraining_file_of_five_modalities_is_called_that(path):
    encoder = TextEncoder(mini_config(50), 24)
    state = {**official(encoder), "module.atlas_tower.x": torch.zeros(2)}
    state["module.modality_embed.weight"] = torch.zeros(5, 24)
    with pytest.raises(CheckpointError, match=r"modality_embed\.weight is \[5, 24\].*a file of pre-training"):
        fit_text(encoder, read_checkpoint(save(path, state)), path, "ours")
