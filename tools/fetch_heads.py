"""Fetch the 20 label maps that sat-mini is trained on, from where SynthSeg publishes them, and hold them against their checksums.

    python tools/fetch_heads.py --out runs/head-labels

What is there already and whole is left alone. Apache-2.0; LICENSE.txt comes along.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

COMMIT = "66342c1f05e520f3729a6d7ca1042eb7f01b6266"
REPOSITORY = f"https://raw.githubusercontent.com/BBillot/SynthSeg/{COMMIT}"
SUMS = Path(__file__).resolve().parent / "head_labels.sha256"
LICENCE = "LICENSE.txt"
TRIES = 4


class FetchError(Exception):
    """What could not be had and the way out, in one line."""


def wanted() -> dict[str, str]:
    """Checksums by file name."""
    return {name: digest for digest, name in (line.split() for line in SUMS.read_text().splitlines())}


def is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def fetch(url: str) -> bytes:
    for wait in (*(2**n for n in range(TRIES - 1)), None):
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return answer.read()
        except (http.client.HTTPException, OSError) as error:
            # What isn't there now won't be in a second.
            refused = isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500
            if wait is None or refused:
                raise FetchError(
                    f"{url}: {error}; where there is no network, bring the files from a machine that has one"
                ) from None
            time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)


def fetch_all(out: Path, base: str) -> int:
    out.mkdir(parents=True, exist_ok=True)
    fetched = 0
    for name, digest in wanted().items():
        if is_whole(out / name, digest):
            continue
        url = f"{base}/{name}" if name == LICENCE else f"{base}/data/training_label_maps/{name}"
        content = fetch(url)
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            raise FetchError(f"{url}: has sha256 {found}, not {digest}; it is not the file that sat-mini was trained on")
        write(out / name, content)
        fetched += 1
    return fetched


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--from", dest="base", default=REPOSITORY, help="another place with the same files")
    args = parser.parse_args()
    try:
        fetched = fetch_all(args.out, args.base)
    except FetchError as error:
        print(f"fetch_heads.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"fetch_heads.py: {error.filename or args.out}: {error.strerror or error}; give a folder to write to", file=sys.stderr)
        return 1
    print(f"{args.out}: {len(wanted()) - 1} label maps and their licence, {fetched} files fetched now")
    return 0


if __name__ == "__main__":
    sys.exit(main())
