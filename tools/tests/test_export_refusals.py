"""export_sat.py either makes a whole folder or says in one line why not, and leaves nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import official
import pytest
import torch

import export_sat
from sat_tools import export
from sat_tools.inference import Model
from sat_tools.network import UNET_L, SatNetwork, Sizes

# Six stages like the official networks, and their width of queries, but next to no weights.
THIN = Sizes((8, 8, 8, 8, 16, 16), 1, 32, 768, 768, 16, layers=1, feedforward=32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files that belong together, and some that don't."""
    folder = tmp_path_factory.mktemp("files")
    official.base_folder(folder / "base", "ours")
    text = official.text_state(folder / "base", "ours")
    torch.save({"model_state_dict": text}, folder / "text.pth")
    torch.save({"model_state_dict": {k: v for k, v in text.items() if "atlas" not in k}}, folder / "plain.pth")
    torch.save({"model_state_dict": official.sat_state(THIN)}, folder / "sat.pth")
    with torch.device("meta"):
        state = SatNetwork(UNET_L).state_dict()
    large = {f"module.{name}": torch.tensor(0.5).expand(weight.shape) for name, weight in state.items()}
    torch.save({"model_state_dict": large}, folder / "large.pth")
    (folder / "cut.pth").write_bytes((folder / "sat.pth").read_bytes()[:5000])
    return folder


@pytest.fixture()
def run(files, tmp_path, monkeypatch, capsys):
    """Runs the command on a thin UNET with some of its options replaced: exit code, standard output, standard error."""
    monkeypatch.setattr(export_sat, "OFFICIAL", {**export_sat.OFFICIAL, "UNET": THIN})

    def run(**changes):
        options = {
            "checkpoint": files / "sat.pth",
            "text-checkpoint": files / "text.pth",
            "backbone": "UNET",
            "text-encoder": "ours",
            "text-base": files / "base",
            "crop-size": "64 32 32",
            "out": tmp_path / "models" / "thin",
            **{name.replace("_", "-"): value for name, value in changes.items()},
        }
        flags = [name for name, value in options.items() if value is True]
        words = [[f"--{name}", *str(value).split()] for name, value in options.items() if name not in flags]
        monkeypatch.setattr(sys, "argv", ["export_sat.py", *sum(words, []), *(f"--{name}" for name in flags)])
        try:
            code = export_sat.main()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


def test_a_folder_is_made(run, tmp_path):
    code, said, errors = run(name="thin", version="2", licence="CC0-1.0")
    assert (code, errors) == (0, "")
    assert "run at" not in said and "query_decoder: " in said
    assert "Largest difference of a logit, the three graphs one after another: " in said
    entries = Model.read(tmp_path / "models" / "thin").entries
    assert (entries["name"], entries["version"], entries["licence"]) == ("thin", "2", "CC0-1.0")
    assert [f.name for f in (tmp_path / "models").iterdir()] == ["thin"]


def test_a_large_window_is_checked_at_a_smaller_one_and_says_so(run, tmp_path):
    code, said, _ = run(crop_size="160 64 32")
    assert code == 0 and "was run at 96 x 64 x 32" in said
    assert Model.read(tmp_path / "models" / "thin").patch == (160, 64, 32)
    code, said, _ = run(crop_size="160 64 32", check_size="160 64 32")
    assert code == 0 and "was run at" not in said


def test_half_precision_is_in_the_manifest_and_in_the_features(run, tmp_path):
    code, said, _ = run(fp16=True)
    assert code == 0 and ", fp16, " in said
    model = Model.read(tmp_path / "models" / "thin")
    assert model.entries["precision"] == "fp16"
    types = {x.name: x.type for part in (model.backbone, model.decoder, model.text) for x in part.get_outputs()}
    assert types.pop("features") == "tensor(float16)" and set(types.values()) == {"tensor(float)"}
    inputs = [x.type for part in (model.backbone, model.decoder) for x in part.get_inputs()]
    assert inputs == ["tensor(float)"] * 3


def test_a_readme_in_the_folder_is_kept(run, tmp_path):
    assert run()[0] == 0
    (tmp_path / "models" / "thin" / "README.md").write_text("mine")
    assert run(version="2")[0] == 0
    assert (tmp_path / "models" / "thin" / "README.md").read_text() == "mine"
    assert Model.read(tmp_path / "models" / "thin").entries["version"] == "2"


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"crop_size": "288 288 90"}, "--crop-size 288 288 90: each side must be a multiple of 32"),
        ({"crop_size": "0 32 32"}, "--crop-size 0 32 32: each side must be a multiple of 32"),
        ({"crop_size": "32 32 32"}, "single voxel"),
        ({"crop_size": "2048 32 32"}, "sides up to 1024"),
        ({"check_size": "64 64 20"}, "--check-size 64 64 20: each side must be a multiple of 32"),
        ({"backbone": "UNET-XL"}, "invalid choice"),
        ({"text_encoder": "clip"}, "invalid choice"),
        ({"name": "a/b"}, "--name 'a/b'"),
        ({"licence": "CC\udce9"}, "--licence 'CC\\udce9': not UTF-8"),
        ({"version": "\udcff"}, "--version '\\udcff': not UTF-8"),
        ({"checkpoint": "caf\udce9.pth"}, "--checkpoint 'caf\\udce9.pth': not UTF-8"),
        (
            {"backbone": "SwinUNETR", "crop_size": "288 288 96", "check_size": "96 96 96"},
            "--check-size 96 96 96: SwinUNETR takes other steps there than at the crop size, so running it would prove "
            "nothing; leave it out, or give 128 128 96",
        ),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_read(changes, words, run, tmp_path):
    absent = {"checkpoint": "nowhere.pth", "text_checkpoint": "nowhere.pth", "text_base": "nowhere"}
    code, _, errors = run(**{**absent, **changes})
    assert code == 2 and words in errors.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_readme_of_any_encoding_is_kept(run, tmp_path):
    (tmp_path / "models" / "thin").mkdir(parents=True)
    (tmp_path / "models" / "thin" / "README.md").write_bytes(b"caf\xe9")
    assert run()[0] == 0
    assert (tmp_path / "models" / "thin" / "README.md").read_bytes() == b"caf\xe9"


def test_files_of_the_users_in_a_model_folder_are_not_lost(run, tmp_path):
    assert run()[0] == 0
    kept = tmp_path / "models" / "thin" / "SAT-Nano.pth"
    kept.write_text("gigabytes")
    code, _, errors = run()
    assert code == 2 and "holds 'SAT-Nano.pth', which is no part of a model and would be lost" in errors
    assert kept.read_text() == "gigabytes"


def test_measured_figures_stay_with_the_same_graphs_only(run, tmp_path):
    assert run()[0] == 0
    manifest = tmp_path / "models" / "thin" / "model.toml"
    with manifest.open("a") as file:
        file.write("\n[reduced]\nbf16_lowest_dice = 0.99991\n")
    code, said, _ = run(version="2")
    assert code == 0 and "compare_precision.py" not in said
    assert Model.read(manifest.parent).entries["reduced"] == {"bf16_lowest_dice": 0.99991}
    code, said, _ = run(crop_size="96 32 32")
    assert code == 0 and "run compare_precision.py again" in said
    assert "reduced" not in Model.read(manifest.parent).entries


def test_what_a_model_may_not_know_is_said_however_the_table_is_named(run, monkeypatch):
    monkeypatch.chdir(Path(export_sat.__file__).parent)
    for classes in (export_sat.SAT_CLASSES, "anatomy/sat-classes.tsv"):
        said = run(classes=classes)[1]
        assert "carries the atlas_tower" in said
        assert "If this is not SAT-Nano itself but the variant trained on 49 of SAT's 72 data sets" in said


def test_the_note_on_classes_is_not_shown_with_ones_own(run, files, tmp_path):
    (tmp_path / "few.tsv").write_text("modality\tclass\nct\tliver\n")
    code, said, _ = run(classes=tmp_path / "few.tsv", text_checkpoint=files / "plain.pth")
    assert code == 0 and "data sets" not in said and "atlas_tower" not in said


@pytest.mark.parametrize("fault", [RuntimeError("DefaultCPUAllocator: can't allocate memory\nat"), MemoryError()])
def test_want_of_memory_is_one_line(fault, run, tmp_path, monkeypatch):
    def fail(*_):
        raise fault

    monkeypatch.setattr(export, "write_graphs", fail)
    code, said, errors = run()
    assert code == 1 and said == "" and len(errors.splitlines()) == 1
    assert type(fault).__name__ in errors and "smaller --check-size" in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_leaves_nothing(name, files, tmp_path):
    # A shell that starts the tests in the background has them ignore SIGINT, nohup SIGHUP, and all that they start.
    script = (
        "import signal, sys, time, export_sat; from sat_tools import export; from test_export_refusals import THIN\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "export_sat.OFFICIAL['UNET'] = THIN\n"
        "export.write_graphs = lambda folder, *_: ((folder / 'large').write_text('x'), time.sleep(300))\n"
        "sys.exit(export_sat.main())"
    )
    options = {"checkpoint": files / "sat.pth", "text-checkpoint": files / "text.pth", "backbone": "UNET"}
    options |= {"text-encoder": "ours", "text-base": files / "base", "out": tmp_path / "models" / "thin"}
    command = [sys.executable, "-c", script, "--crop-size", "64", "32", "32"]
    command += [str(word) for option, value in options.items() for word in (f"--{option}", value)]
    tools = Path(export_sat.__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tools, tools / "tests")))}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        while process.poll() is None and not list(tmp_path.rglob("large")):
            time.sleep(0.1)
        process.send_signal(getattr(signal, name))
        errors = process.communicate()[1]
    assert process.returncode == 128 + getattr(signal, name)
    assert len(errors.splitlines()) == 1 and errors.startswith("export_sat.py: ") and "nothing was written" in errors
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_model_is_not_replaced(run, tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.tex").write_text("years")
    code, _, errors = run(out=tmp_path / "papers")
    assert code == 2 and "holds 'thesis.tex', which is no part of a model" in errors
    assert (tmp_path / "papers" / "thesis.tex").read_text() == "years"


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"checkpoint": "plain.pth"}, "this is a text encoder of kind ours"),
        ({"checkpoint": "text.pth"}, "knowledge encoder of pre-training"),
        ({"text-checkpoint": "sat.pth"}, "this is a SAT checkpoint"),
        ({"checkpoint": "large.pth"}, "the weights are those of UNET-L, not of UNET; pass --backbone UNET-L"),
        ({"checkpoint": "cut.pth"}, "cut off after 5,000 bytes; download it again"),
        ({"checkpoint": "absent.pth"}, "no such file"),
        ({"checkpoint": "base/config.json"}, "not a PyTorch checkpoint"),
        ({"text-base": "."}, "no config.json"),
        ({"text-encoder": "medcpt"}, "but --text-encoder says medcpt; pass --text-encoder ours"),
        ({"classes": "base/config.json"}, "the first line names no column modality and no column class"),
        ({"classes": "absent.tsv"}, "absent.tsv: No such file or directory"),
    ],
)
def test_bad_input_is_one_line_and_no_folder(changes, words, run, files, tmp_path):
    changes = {k: v if k == "text-encoder" else files / v for k, v in changes.items()}
    code, said, errors = run(**changes)
    assert code == 1 and said == ""
    assert len(errors.splitlines()) == 1 and errors.startswith("export_sat.py: ")
    assert words in errors, errors
    assert list(tmp_path.iterdir()) == []


def test_graphs_that_compute_something_else_leave_no_folder(run, tmp_path, monkeypatch):
    monkeypatch.setitem(export.TOLERANCE, "fp32", 1e-12)
    code, said, errors = run()
    assert code == 1 and "does not compute what PyTorch does" in errors and len(errors.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_pickle_that_calls_something_ends_the_command_without_a_traceback(files, tmp_path):
    mark = tmp_path / "called"
    (tmp_path / "evil.pkl").write_bytes(b"cos\nsystem\n(S'touch %s'\ntR." % str(mark).encode())
    torch.save({"model_state_dict": {"module.backbone.x": torch.zeros(1)}, "hook": Touch(mark)}, tmp_path / "evil.pth")
    for name in ("evil.pkl", "evil.pth"):
        command = [sys.executable, Path(export_sat.__file__), "--checkpoint", tmp_path / name, "--backbone", "UNET"]
        command += ["--text-checkpoint", files / "text.pth", "--text-encoder", "ours", "--text-base", files / "base"]
        command += ["--crop-size", "96", "96", "96", "--out", tmp_path / "model"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1 and name in done.stderr
    assert sorted(f.name for f in tmp_path.iterdir()) == ["evil.pkl", "evil.pth"]


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def config_of(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda f: config_of(f, vocab_size=10), "but config.json only a vocab_size of 10"),
        (lambda f: config_of(f, max_position_embeddings=128), "room for 126 ids, but a prompt may have 256"),
        (lambda f: config_of(f, model_type="nothing"), "not a text encoder's config"),
        (lambda f: config_of(f, pad_token_id=None), "config.json: not a text encoder's config"),
        (lambda f: config_of(f, hidden_size=-768), "are not all above 0"),
        (lambda f: config_of(f, num_hidden_layers="2"), "config.json: not a text encoder's config"),
        (lambda f: config_of(f, num_attention_heads=7), "config.json: no text encoder comes of it"),
        (lambda f: (f / "config.json").write_text("{"), "not a text encoder's config"),
        (lambda f: (f / "tokenizer.json").unlink(), "neither tokenizer.json nor vocab.txt"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "the tokenizer files cannot be read"),
        (lambda f: byte_pairs(f), "the tokenizer fails on 'abdominal tissue'"),
        (
            lambda f: (byte_pairs(f), config_of(f, model_type="gpt2")),
            "a tokenizer of type BPE, but the server reads WordPiece only",
        ),
    ],
)
def test_a_base_folder_that_cannot_be_right_is_refused(change, words, run, tmp_path):
    base = official.base_folder(tmp_path / "base", "ours")
    change(base)
    code, _, errors = run(text_base=base)
    assert code == 1 and words in errors and len(errors.splitlines()) == 1, errors
    assert [f.name for f in tmp_path.iterdir()] == ["base"]


def byte_pairs(folder):
    from tokenizers import Tokenizer, models

    Tokenizer(models.BPE({"a": 0, "<unk>": 1}, [], unk_token="<unk>")).save(str(folder / "tokenizer.json"))
