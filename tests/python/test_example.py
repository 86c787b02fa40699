"""The agent without a language model, as a reader of the README runs it: on the scan that ships with the project."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT, program

AGENT = [sys.executable, str(CHECKOUT / "examples" / "report_to_volumes.py"), "--program", str(program())]
DEMO_SCAN = CHECKOUT / "share" / "demo" / "colin27-t1.nii.gz"


@pytest.fixture
def play(environment):
    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [*AGENT, *arguments]
        done = subprocess.run(
            command, input=stdin, env=environment, capture_output=True, encoding="utf-8", timeout=300, check=False
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
    assert said["Measured:"][0].startswith("The left hippocampus measures 3.")
    assert "do not rely on this mask" in said["Measured:"][1] and "do not rely" not in said["Measured:"][0]
    assert said["Measured:"][2].startswith('The lateral ventricle (in the report: "lateral ventricles") measures ')
    hippocampi, caudates = said["Left against right:"]
    assert "are not compared" in hippocampi and " % smaller than the right caudate nucleus." in caudates
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


def test_a_report_about_something_else_is_said_to_be_so(play):
    done = play("--report", "The liver is enlarged. The ventricle is wide.")
    assert done.returncode == 0
    assert done.stdout.startswith("Nothing was measured: the report names nothing as present that the loaded model can find.")
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
        (["--report", "The thalami.", "--modality", "mri", "--image", str(CHECKOUT / "none.nii")], 1, "none.nii: no such file"),
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
