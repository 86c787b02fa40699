"""The agent without a language model, as a reader of the README runs it: on the scan that ships with the project."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT, program

sys.path.insert(0, str(CHECKOUT / "examples"))
import report_to_volumes  # noqa: E402

AGENT = [sys.executable, str(CHECKOUT / "examples" / "report_to_volumes.py"), "--program", str(program())]
DEMO_SCAN = CHECKOUT / "share" / "demo" / "colin27-t1.nii.gz"


@pytest.fixture
def play(doubted):
    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [*AGENT, *arguments]
        done = subprocess.run(
            command, input=stdin, env=doubted, capture_output=True, encoding="utf-8", timeout=300, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def parts(statement: str) -> dict[str, list[str]]:
    """The items under each title."""
    found: dict[str, list[str]] = {}
    for block in statement.strip().split("\n\n"):
        title, *lines = block.splitlines()
        found[title] = [line.removeprefix("- ") for line in lines]
    return found


def test_a_report_becomes_volumes_and_their_limits(play):
    done = play()
    assert done.returncode == 0, done.stderr
    said = parts(done.stdout)
    assert len(said["Measured:"]) == 5
    assert said["Measured:"][0].startswith("The left hippocampus measures ")
    assert "do not rely on this mask" in said["Measured:"][1] and "do not rely" not in said["Measured:"][0]
    assert said["Measured:"][2].startswith('The lateral ventricle (in the report: "lateral ventricles") measures ')
    hippocampi, caudates = said["Left against right:"]
    assert "are not compared" in hippocampi and re.search(r" % (smaller|larger) than the right caudate nucleus\.", caudates)
    assert said["Not available:"] == [
        'corpus callosum cannot be measured: the model sat-mini does not have "corpus callosum".'
    ]
    denied = "Not measured, since the report denies it or tells it as history:"
    assert said[denied] == ['stroke: history ("Previous").', 'brain tumour: denied ("No").']
    assert said["Before you use this:"][-1].endswith("This is not a medical device.")
    picture = Path(next(title for title in said if title.startswith("Picture")).split(": ", 1)[1])
    assert picture.read_bytes().startswith(b"\x89PNG")
    # What happens on the way is told apart from the statement. Which steps are told depends on how quick the run is.
    told = done.stderr.splitlines()
    assert any(line.startswith("  [") for line in told), done.stderr
    assert "measure_volume  5 masks" in told


def test_what_is_denied_or_doubted_is_said_to_be_so(play):
    done = play("--report", "No atrophy of the left amygdala, and no mass. Possible lesion of the third ventricle.")
    assert done.returncode == 0, done.stderr
    said = parts(done.stdout)
    assert [line.split(" measures")[0] for line in said["Measured:"]] == ["The left amygdala", "The third ventricle"]
    assert "mass: denied" in " ".join(said["Not measured, since the report denies it or tells it as history:"])
    assert said["Not available:"][0].startswith("lesion cannot be measured: ")


def test_every_limit_of_a_number_stands_beside_it():
    """Limits that the demo's scan does not show."""

    def mask(name: str, volume: float, status: str = "present", target: str = "", **more) -> dict:
        return {"name": name, "target": target or name, "measurement": {"volume_ml": volume, "status": status}} | more

    masks = [
        mask("left kidney", 151.26, "cut_off", includes=["left kidney cyst", "left kidney tumor"]),
        mask("right kidney", 140.04, composed_of=["right kidney cortex", "right kidney medulla"], target="R kidney"),
        mask("right kidney cyst", 0.01234, target="cyst in the R kidney"),
        mask("liver tumor", 0, "empty"),
    ]
    told = [
        (
            "left kidney",
            "cut_off",
            "left kidney: the mask reaches the image's edge (superior), so the volume is at least this.",
        ),
        (
            "R kidney",
            "overlapping",
            "right kidney: holds right kidney cyst as SAT was taught it, so do not add the volumes.",
        ),
        ("cyst in the R kidney", "long_tail", "right kidney cyst: taught from 12 scans only, so trust it less."),
        (
            "cyst in the R kidney",
            "low_probability",
            "right kidney cyst: the model was unsure of it (mean probability 0.51).",
        ),
        ("liver tumor", "empty_mask", "liver tumor: nothing was found. It may be absent, outside the scan, or missed."),
    ]
    warnings = [{"target": target, "code": code, "message": message} for target, code, message in told]
    warnings.append({"code": "small_image", "message": "The image reaches over 20 mm only."})
    mentions = [{"text": one["target"], "target": one["target"]} for one in masks]
    mentions[2] |= {"uncertain": True, "cue": {"text": "Possible"}}
    found = {"masks": masks, "warnings": warnings, "model": {"name": "sat-pro", "version": "1"}}
    said = parts(report_to_volumes.statement({"mentions": mentions}, {}, found))
    assert said["Measured:"] == [
        "The left kidney measures at least 151 mL. Any left kidney cyst or left kidney tumor in it counts to it. "
        "The mask reaches the image's edge (superior), so the volume is at least this.",
        'The right kidney (in the report: "R kidney") measures 140 mL. That is the union of right kidney cortex and '
        "right kidney medulla. Holds right kidney cyst as SAT was taught it, so do not add the volumes.",
        'The right kidney cyst (in the report: "cyst in the R kidney") measures 0.0123 mL. Taught from 12 scans only, so '
        'trust it less. The model was unsure of it (mean probability 0.51). The report is not sure of it ("Possible").',
        "No liver tumor was found: it may be absent, outside the scan, or missed.",
    ]
    assert said["Left against right:"] == [
        "The left kidney and the right kidney are not compared: see above what is said of them."
    ]
    assert "The image reaches over 20 mm only." in said["Before you use this:"]


@pytest.mark.parametrize(
    ("left", "comparison", "error"),
    [
        (100.0, "as large as", True),
        (75.0, "25 % smaller than", True),
        (190.0, "90 % larger than", False),
    ],
)
def test_a_difference_is_held_against_the_models_own_error(left, comparison, error):
    volumes = {"left thalamus": left, "right thalamus": 100.0}
    masks = [
        {"name": name, "target": name, "trust": {"model_dice": 0.8}, "measurement": {"volume_ml": volume}}
        for name, volume in volumes.items()
    ]
    doubt = " Such a difference can be the model's own error: its Dice for them is 0.80." if error else ""
    said = report_to_volumes.sides({"masks": masks, "warnings": []})
    assert said == [f"The left thalamus is {comparison} the right thalamus.{doubt}"]


def test_a_report_about_something_else_is_said_to_be_so(play):
    done = play("--report", "The liver is enlarged. The ventricle is wide.")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "Nothing was measured: the report names nothing as present that the loaded model can find."
    )
    liver, ventricle = parts(done.stdout)["Not available:"]
    assert liver == 'liver cannot be measured: the model sat-mini does not have "liver".'
    assert "Say which: " in ventricle and "fourth ventricle" in ventricle


def test_an_unknown_structure_costs_the_others_nothing(play):
    done = play("--report", "The ureter, the flux capacitor and the left thalamus are unremarkable.")
    said = parts(done.stdout)
    assert len(said["Measured:"]) == 1 and "left thalamus" in said["Measured:"][0]
    assert said["Not available:"][0].startswith("ureter cannot be measured: ")


def test_a_report_is_read_from_stdin_and_from_a_file(play, tmp_path):
    report = "Cerebellum of normal size."
    (tmp_path / "report.txt").write_text(report)
    from_stdin, from_file = play("-", stdin=report), play(str(tmp_path / "report.txt"))
    assert from_stdin.returncode == 0 and "The cerebellum measures 1" in from_stdin.stdout
    assert from_file.stdout == from_stdin.stdout


def test_a_scan_is_held_against_an_earlier_one(play, tmp_path):
    earlier = tmp_path / "earlier" / "head.nii.gz"
    earlier.parent.mkdir()
    shutil.copy(DEMO_SCAN, earlier)
    report = "The third ventricle and the right hippocampus are unchanged."
    done = play("--report", report, "--prior", str(earlier))
    third, hippocampus = parts(done.stdout)["Against the prior scan:"]
    assert "now it is as large as then." in third
    assert "the change is not given" in hippocampus


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (
            ["--report", "The thalami.", "--modality", "mri", "--image", str(CHECKOUT / "none.nii")],
            1,
            "none.nii: no such file",
        ),
        (["--report", "The thalami.", "--image", str(DEMO_SCAN)], 2, "--image needs --modality"),
        (["--image", str(DEMO_SCAN), "--modality", "mri"], 2, "--image needs a report"),
        (["/no/report.txt"], 2, "the report cannot be read"),
        (["--program", "/no/sat-mcp"], 1, "/no/sat-mcp"),
        (["--server", "false"], 1, "no answer from sat-mcp"),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(play, arguments, status, words):
    done = play(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert words in done.stderr
