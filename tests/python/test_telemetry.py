"""ONNX Runtime, as Microsoft builds it, tells Microsoft of its use. sat-mcp has it silent."""

import subprocess

from conftest import program


def test_running_the_model_leaves_no_identity_and_no_events_behind(environment, tmp_path):
    # Where they would lie, until they are sent: in the home folder's cache, from the moment the library is loaded.
    clean = {name: value for name, value in environment.items() if not name.startswith(("XDG_", "ORT_DISABLE"))}
    done = subprocess.run([program(), "doctor"], env={**clean, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
