"""What takes minutes and gigabytes: SAT-Nano at SAT's own window, and SAT-Pro. `pytest -m long`"""

import os
import resource

import nibabel as nib
import official
import published
import pytest
import torch
from test_export_sat import CROP, PROGRAM, TARGETS, assert_the_same, run_export, segment

from sat_tools.inference import Model
from sat_tools.network import OFFICIAL, UNET, UNET_L, SatNetwork

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    base = official.base_folder(folder / "base", "ours")
    state = official.text_state(base, "ours")
    torch.save({"model_state_dict": state}, folder / "text.pth")
    return folder / "text.pth", "ours", base, state


@pytest.fixture(scope="module")
def pro(tmp_path_factory):
    """SAT-Pro's weights and their file."""
    path = tmp_path_factory.mktemp("pro") / "SAT-Pro.pth"
    state = official.sat_state(UNET_L)
    torch.save({"model_state_dict": state}, path)
    yield state, path
    path.unlink()


@pytest.mark.skipif(PROGRAM is None, reason="SAT_MCP_PROGRAM names no program; `make test-long` builds one")
def test_sat_pros_masks_are_the_published_ones(pro, text, tmp_path):
    state, path = pro
    file, kind, base, words = text
    done = run_export(path, file, kind, base, tmp_path / "pro", "--crop-size", *CROP, backbone="UNET-L")
    assert done.returncode == 0, done.stderr
    image = official.images(tmp_path)["ct"]
    masks = segment(tmp_path / "pro", image, "ct", TARGETS["ct"], tmp_path / "results")
    prepared = published.prepare(image, "ct")
    query = published.queries(TARGETS["ct"], "ct", kind, base, words)
    probability = published.Published(state, UNET_L, CROP).probability(prepared, query)
    assert_the_same(masks, published.restore(prepared, probability, nib.load(image)), TARGETS["ct"])


@pytest.mark.parametrize("more", [[], ["--fp16"]])
def test_sat_pro_is_exported_at_its_own_window_in_a_few_times_its_weights(more, pro, text, tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    out = tmp_path / "pro"
    done = run_export(pro[1], *text[:3], out, "--crop-size", "288", "288", "96", *more, backbone="UNET-L")
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert "run at 96 x 96 x 96" in done.stdout
    # Files that are mapped count too: the checkpoint's 1.9 GB, and the graph's when it is run.
    assert max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) < 9e6
    assert (out / "backbone.onnx.data").stat().st_size == pytest.approx(0.884e9 if more else 1.768e9, rel=0.01)


@pytest.mark.parametrize("kind, checked", [("UMamba", "96 x 96 x 96"), ("SwinUNETR", "128 x 128 x 96")])
def test_the_ablations_are_exported_at_sats_own_window(kind, checked, tmp_path):
    torch.manual_seed(0)
    state = {f"module.{name}": weight for name, weight in SatNetwork(OFFICIAL[kind]).state_dict().items()}
    torch.save({"model_state_dict": state}, tmp_path / "sat.pth")
    base = official.base_folder(tmp_path / "base", "medcpt")
    torch.save({"model_state_dict": official.text_state(base, "medcpt")}, tmp_path / "text.pth")
    given = (tmp_path / "sat.pth", tmp_path / "text.pth", "medcpt", base, tmp_path / "model")
    done = run_export(*given, "--crop-size", "288", "288", "96", backbone=kind)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert f"run at {checked}" in done.stdout
    assert Model.read(tmp_path / "model").patch == (288, 288, 96)


def test_nanos_graph_at_sats_own_window_keeps_to_pytorch(text, tmp_path):
    """PyTorch needs 13 GB for it."""
    if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 16e9:
        pytest.skip("less than 16 GB of memory are free")
    torch.save({"model_state_dict": official.sat_state(UNET)}, tmp_path / "nano.pth")
    window = ["288", "288", "96"]
    done = run_export(
        tmp_path / "nano.pth", *text[:3], tmp_path / "nano", "--crop-size", *window, "--check-size", *window
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert Model.read(tmp_path / "nano").patch == (288, 288, 96)
