"""What the three examples have in common: the report and the scan, how sat-mcp is started, how they end."""

import argparse
import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import Coroutine
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
DEMO_SCAN = CHECKOUT / "share" / "demo" / "colin27-t1.nii.gz"
# Nobody reported on that scan: it is a healthy head, and this was written to have something of everything in it.
DEMO_REPORT = """\
MRI of the head, T1-weighted.
History: Memory complaints. Previous stroke.
Findings: The left hippocampus looks small compared with the right hippocampus. The lateral ventricles are mildly
enlarged. Left and right caudate nuclei are unremarkable. The corpus callosum is thin. No brain tumour.
"""


class Fault(Exception):
    """An expected failure; its words are meant for whoever started the example."""


def arguments(about: str | None) -> argparse.ArgumentParser:
    """The arguments that all examples take."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    report = parser.add_mutually_exclusive_group()
    report.add_argument("file", nargs="?", metavar="REPORT", help="text file with the report in English; - reads stdin")
    report.add_argument("--report", metavar="TEXT", help="the report itself [default: one about the demo's scan]")
    parser.add_argument("--image", type=Path, metavar="SCAN", help="a NIfTI file [default: the demo's head, an MR]")
    parser.add_argument("--modality", choices=["ct", "mri", "pet"], help="what made the scan; needed with --image")
    parser.add_argument("--program", default=program(), help="sat-mcp [default: as built here, else as installed]")
    return parser


def parsed(parser: argparse.ArgumentParser, given: list[str] | None = None) -> argparse.Namespace:
    """The arguments with their defaults filled in and the report read."""
    options = parser.parse_args(given)
    if options.program is None:
        parser.error("sat-mcp is neither built here nor installed: run `make build`, or name it with --program")
    if options.image and not options.modality:
        parser.error("--image needs --modality: a NIfTI file does not say whether it is ct, mri or pet")
    if options.image and options.file is None and options.report is None:
        parser.error("--image needs a report: the one that is built in is about the demo's scan")
    if options.file is not None:
        try:
            read = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
            options.report = read.decode("utf-8")
        except OSError as error:
            parser.error(f"the report cannot be read: {error}")
        except UnicodeDecodeError:
            parser.error(f"{options.file}: the report is not text in UTF-8; save it as such")
    options.report = DEMO_REPORT if options.report is None else options.report
    options.image = (options.image or DEMO_SCAN).resolve()
    options.modality = options.modality or "mri"
    return options


def program() -> str | None:
    """The sat-mcp that was built in this checkout, else the installed one."""
    built = CHECKOUT / "target" / "release" / "sat-mcp"
    return str(built) if built.exists() else shutil.which("sat-mcp")


def server(options: argparse.Namespace, *more_scans: Path) -> list[str]:
    """The command that serves the tools over stdio. It reads nothing outside the folders named here."""
    folders = dict.fromkeys(str(scan.parent) for scan in [options.image, *more_scans])
    return [options.program, "serve", *(word for folder in folders for word in ("--data-root", folder))]


def environment() -> dict[str, str]:
    """For sat-mcp: a client hands on next to nothing of its own accord, and keys are none of the server's business."""
    handed_on = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OPENAI_"))}
    return {"SAT_MCP_LOG": "warn", **handed_on}


def picture(path: str) -> str:
    """Where the preview is, and how to look at it."""
    viewer = "open" if sys.platform == "darwin" else "xdg-open"
    return f"Picture, three planes with outlines: {path}\nTo look at it: {viewer} {shlex.quote(path)}"


def assignment(options: argparse.Namespace) -> dict[str, str]:
    """What the server's prompt `segment_from_report` is filled in with: a whole assignment for a language model."""
    return {"report": options.report, "image": str(options.image), "modality": options.modality}


def without_key(variable: str, where: str) -> str:
    return (
        f"there is no key in the environment variable {variable}. Get one at {where} and set it with "
        f"`export {variable}=…`; examples/report_to_volumes.py does the same job without a key"
    )


async def show_progress(progress: float, total: float | None, message: str | None) -> None:
    """For MCP's progress_callback. Who asks for progress is answered when the work is done, not before."""
    done = int(20 * progress / total) if total else 0
    tell(f"  [{'#' * done}{'.' * (20 - done)}] {message or ''}")


def tell(line: str) -> None:
    """What happens on the way goes to stderr, so that stdout is the statement alone."""
    print(line, file=sys.stderr, flush=True)


def run(conversation: Coroutine[None, None, str]) -> int:
    """Prints the statement that a conversation comes to; an expected failure is a sentence on stderr, no traceback."""
    from mcp import MCPError  # where it is missing, the example has said so before

    try:
        print(asyncio.run(conversation))
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as wrapped:
        error = wrapped
        while hasattr(error, "exceptions"):  # task groups wrap what went wrong
            error = error.exceptions[0]
        # sat-mcp itself has said on stderr why it did not start.
        words = {Fault: f"{error}", MCPError: f"no answer from sat-mcp: {error}", OSError: f"sat-mcp: {error}"}
        said = next((text for kind, text in words.items() if isinstance(error, kind)), None)
        if said is None:
            raise
        tell(f"{Path(sys.argv[0]).name}: {said}")
        return 1


def refused(why: str) -> int:
    """For what has to be put right before an example can start: a key, a package."""
    tell(f"{Path(sys.argv[0]).name}: {why}")
    return 2
