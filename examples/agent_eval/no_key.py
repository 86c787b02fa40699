"""The agent without a language model, as the evaluation plays it: examples/report_to_volumes.py on a task."""

import os

import report_to_volumes


def main() -> int:
    """Plays the task that the runner's variables give (README.md); the statement goes to stdout."""
    given = {name.removeprefix("SAT_EVAL_"): value for name, value in os.environ.items()}
    # The server's command line names its model; `sat-mcp targets` is started beside it and has to hear of it, too.
    os.environ |= {"SAT_MCP_MODELS": given["MODELS"], "SAT_MCP_MODEL": given["MODEL"]}
    scans = ["--image", given["IMAGE"], "--modality", given["MODALITY"]]
    if given["PRIOR"]:
        scans += ["--prior", given["PRIOR"]]
    return report_to_volumes.main([given["REPORT"], *scans, "--program", given["PROGRAM"], "--server", given["SERVER"]])
