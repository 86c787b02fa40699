"""Which classes a model is offered for: a table with a row for each (modality, class) pair.

Tab-separated, with a header that names at least the columns `modality` (ct, mri, pet) and `class`; a column `region` is
passed on for names that are not SAT's own. SAT's 498 pairs are `tools/anatomy/sat-classes.tsv`.
"""

from __future__ import annotations

import csv
from pathlib import Path

SAT_CLASSES = Path(__file__).resolve().parent.parent / "anatomy" / "sat-classes.tsv"
MODALITIES = ("ct", "mri", "pet")
MOST_NAMED = 20


class ClassTableError(Exception):
    """What is wrong with a table and the way out, in one line."""


def read_pairs(path: Path) -> list[dict[str, str]]:
    """The rows of a table; every bad one is in the error."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ClassTableError(f"{path}: not UTF-8 text; save it as tab-separated UTF-8") from None
    lines = csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    header = next(lines, [])
    absent = [column for column in ("modality", "class") if column not in header]
    if absent:
        raise ClassTableError(
            f"{path}: the first line names no column {' and no column '.join(absent)}; it must be tab-separated, "
            "as tools/anatomy/sat-classes.tsv is"
        )
    rows, faults, seen = [], [], {}
    for number, fields in enumerate(lines, start=2):
        if not any(field.strip() for field in fields):
            continue
        row = dict(zip(header, map(str.strip, fields)))
        pair = (row.get("modality", ""), row.get("class", ""))
        if len(fields) != len(header):
            faults.append(f"line {number} has {len(fields)} columns, not {len(header)}")
        elif pair[0] not in MODALITIES:
            faults.append(f"line {number}: modality {pair[0]!r} is none of {', '.join(MODALITIES)}")
        elif not pair[1]:
            faults.append(f"line {number} has no class")
        elif pair in seen:
            faults.append(f"line {number} repeats line {seen[pair]} ({pair[0]}, {pair[1]})")
        seen.setdefault(pair, number)
        rows.append(row)
    if faults:
        more = f" and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
        raise ClassTableError(f"{path}: {'; '.join(faults[:MOST_NAMED])}{more}; correct these rows")
    if not rows:
        raise ClassTableError(f"{path}: a header but no row; a model without classes is of no use")
    return rows


def class_entries(path: Path = SAT_CLASSES) -> list[dict]:
    """The manifest's classes: one for each name, with all modalities that it was taught in."""
    known = {row["class"] for row in read_pairs(SAT_CLASSES)}
    entries: dict[str, dict] = {}
    for row in read_pairs(path):
        name = row["class"]
        entry = entries.setdefault(name, {"name": name, "modalities": []})
        entry["modalities"].append(row["modality"])
        # The catalogue has the region of SAT's own names already.
        if name not in known and row.get("region"):
            entry["region"] = row["region"]
    return list(entries.values())
