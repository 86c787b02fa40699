"""The scripted agent, as a reader of the README runs it: on the scan that ships with the project."""

import subprocess
import sys

from conftest import CHECKOUT, program

AGENT = [sys.executable, str(CHECKOUT / "examples" / "report_to_volumes.py"), "--server", str(program())]


def test_a_report_becomes_volumes_and_their_limits(environment):
    done = subprocess.run(AGENT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    looked_up = [line for line in done.stdout.splitlines() if line.startswith("list_anatomy")]
    assert len(looked_up) == 3 and "'lateral ventricles' is lateral ventricle" in looked_up[2]
    assert "measure_volume  left hippocampus: " in done.stdout
    conclusion = " ".join(done.stdout.split("\n\n")[-2].split())
    assert conclusion.startswith("In this scan sat-mini") and "the left hippocampus" in conclusion
    assert done.stdout.rstrip().endswith("This is not a medical device.")
    # Progress arrives; which of the sentences before the last depends on how quick the run is.
    told = [line for line in done.stderr.splitlines() if line.startswith("segment")]
    assert told and told[-1].endswith("] done"), done.stderr


def test_a_report_about_something_else_is_said_to_be_so(environment):
    command = [*AGENT, "--report", "The liver is enlarged."]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "'liver' is liver" in done.stdout and "names no structure that the loaded model can find" in done.stdout


def test_a_missing_scan_is_said_in_the_tools_own_words(environment, tmp_path):
    command = [*AGENT, "--image", str(tmp_path / "none.nii.gz")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "no such file" in done.stderr and "Traceback" not in done.stderr
