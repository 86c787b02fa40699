#!/usr/bin/env python3
"""Build src/anatomy/catalogue.tsv, the one file that sat-mcp's anatomy room reads.

Sources, all beside this script (README.md says where they come from):
  sat-classes.tsv    SAT's (modality, class) pairs with region, abnormality and annotated scans
  sat-hierarchy.tsv  which classes SAT's authors made as unions of which
  composites.tsv     names without a class of their own whose pieces are classes; names other models offer
  synonyms.tsv       what people call them
  asks.tsv           phrases that ask back
  both-sides.tsv     classes without a left and a right that hold both sides
  definitions.tsv    what each name is and what SAT's class holds
  neighbours.tsv     what touches what
  inclusions.tsv     what a class holds besides its parts
  codes.tsv          codes of open terminologies

    python3 tools/anatomy/build.py            # write the catalogue
    python3 tools/anatomy/build.py --check    # exit 1 if the checked-in catalogue is not what the sources give
"""

from __future__ import annotations

import re
import sys

from codes import codes
from knowledge import definitions, inclusions, neighbours
from tables import HERE, MODALITIES, SIDES, Row, base_of, rows, side_of

TARGET = HERE.parents[1] / "src" / "anatomy" / "catalogue.tsv"
COLUMNS = ("name", "kind", "region", "laterality", "scans", "part_of", "parts", "synonyms", "note",
           "definition", "neighbours", "includes", "codes")

# Pairs whose joining would not be what the words say.
NO_WHOLE = {"lobe of liver"}
# In the notes of a class: "both" in a phrase means the class itself; SAT was taught it on fetuses alone.
BOTH_SIDES, ONLY_FETUSES = "both sides", "fetuses only"
FETAL_DATA = {"FeTA2022"}
ADJECTIVES = {"cervical": ("c", "cervicalis"), "thoracic": ("t", "thoracica"), "lumbar": ("l", "lumbalis")}


def natural(text: str) -> list:
    return [int(piece) if piece.isdigit() else piece for piece in re.split(r"(\d+)", text)]


def classes(table: dict[str, Row]) -> None:
    for source in rows("sat-classes.tsv"):
        row = table.setdefault(source["class"], Row(source["class"]))
        row.kind = "abnormality" if source["abnormal"] == "1" else "structure"
        row.regions.append(source["region"])
        row.scans[source["modality"]] = int(source["annotated_scans"])
        if set(source["datasets"].split(",")) <= FETAL_DATA:
            row.notes.append(ONLY_FETUSES)


def hierarchy(table: dict[str, Row]) -> None:
    ways: dict[tuple[str, str, str], list[str]] = {}
    for source in rows("sat-hierarchy.tsv"):
        modality, parent = source["parent"].split("_", 1)
        _, child = source["child"].split("_", 1)
        kind = source["source"]
        table[child].parents.append((parent, kind))
        # 'rib' is left + right, and also rib 1 + … + rib 12
        ways.setdefault((modality, parent, kind), []).append(child)
    for (modality, parent, kind), children in sorted(ways.items(), key=lambda item: (item[0][2] != "laterality", item[0])):
        if set(children) & set(table) != set(children):
            raise SystemExit(f"hierarchy: unknown child of {parent}")
        if parent == "rib" and kind == "rib number":
            children = [child for child in children if not side_of(child)]
        table[parent].divide(modality, sorted(children, key=natural))


def composites(table: dict[str, Row]) -> None:
    for source in rows("composites.tsv"):
        row = table.setdefault(source["name"], Row(source["name"]))
        if not row.regions:
            row.regions = [source["region"]]
        if source["parts"]:
            row.divide(source["modality"], source["parts"].split(" + "))


def halves_and_wholes(table: dict[str, Row]) -> None:
    """What follows from sides alone: the left half of a lobe made of gyri, the whole of a left and a right class."""
    for row in list(table.values()):
        for modality, ways in list(row.parts.items()):
            if side_of(row.name) or modality not in row.scans:
                continue
            for way in list(ways):
                if len(way) <= 2 or not all(side_of(part) for part in way):
                    continue
                for side in SIDES:
                    name = f"{side} {row.name}"
                    half = table.setdefault(name, Row(name))
                    if modality not in half.scans:
                        half.regions = half.regions or row.regions[:1]
                        half.divide(modality, [part for part in way if side_of(part) == side])
    for row in list(table.values()):
        if side_of(row.name) != "left" or base_of(row.name) in NO_WHOLE:
            continue
        other = next((r for r in table.values() if side_of(r.name) == "right" and base_of(r.name) == base_of(row.name)), None)
        if other is None:
            continue
        for modality in MODALITIES:
            if all(modality in r.scans or modality in r.parts for r in (row, other)):
                whole = table.setdefault(base_of(row.name), Row(base_of(row.name)))
                whole.regions = whole.regions or row.regions[:1]
                whole.divide(modality, [row.name, other.name])


def levels(row: Row) -> list[str]:
    """Names of a vertebra, a disc or a rib by its number."""
    if found := re.fullmatch(r"(cervical|thoracic|lumbar) vertebrae (\d+) \([ctl]\d+\)", row.name):
        kind, number = found.groups()
        letter, latin = ADJECTIVES[kind]
        level = f"{letter}{number}"
        return [level, f"{level} vertebra", f"{kind} vertebra {number}", f"{kind} {number}", f"vertebra {latin} {number}",
                f"{level} {kind} vertebra"] + ([f"dorsal vertebra {number}"] if kind == "thoracic" else [])
    if row.name.startswith("intervertebral disc between"):
        upper, lower = re.search(r"\(([tl]\d+)\) and .*?(?:\(([tl]\d+)\)|sacrum$)", row.name).groups()
        lower = lower or "s1"
        short = [f"{upper}-{lower}"] + ([f"{upper}-{lower[1:]}"] if upper[0] == lower[0] else [])
        return [f"{levels} {disc}" for levels in short for disc in ("disc", "intervertebral disc", "disc space")] + [
            f"disc between {upper} and {lower}", f"intervertebral disc between {upper} and {lower}"]
    if found := re.fullmatch(r"(?:(left|right) )?rib (\d+)", row.name):
        side, number = found.groups()
        return [f"{side + ' ' if side else ''}costa {number}"]
    return []


def synonyms(table: dict[str, Row]) -> None:
    for source in rows("synonyms.tsv"):
        exact = source["name"].startswith("=")
        name = source["name"].lstrip("=")
        words = source["synonyms"].split("; ")
        if len(words) != len(set(words)):
            raise SystemExit(f"synonyms.tsv: {name} repeats a synonym")
        served = [row for row in table.values()
                  if row.name == name or (not exact and not side_of(name) and base_of(row.name) == name)]
        if not served:
            raise SystemExit(f"synonyms.tsv: no class or composite is called {name!r}")
        for row in served:
            side = side_of(row.name) if row.name != name else ""
            row.add_synonyms([f"{side} {word}" if side else word for word in words])
    for row in table.values():
        row.add_synonyms(levels(row))


def both_sides(table: dict[str, Row]) -> None:
    sided = {base_of(name) for name in table if side_of(name)}
    for source in rows("both-sides.tsv"):
        name = source["name"]
        if name not in table or not table[name].scans or not source["why"]:
            raise SystemExit(f"both-sides.tsv: {name!r} wants to be a class of SAT's, with where it is said")
        if side_of(name) or name in sided:
            raise SystemExit(f"both-sides.tsv: {name!r} has a left and a right")
        if BOTH_SIDES in table[name].notes:
            raise SystemExit(f"both-sides.tsv: two rows for {name!r}")
        table[name].notes.append(BOTH_SIDES)


def bodies(table: dict[str, Row]) -> list[dict[str, str]]:
    """The body of a vertebra, at every level: SAT has the whole bone."""
    found = []
    for name in sorted(table, key=natural):
        if level := re.fullmatch(r"(cervical|thoracic|lumbar|sacral) vertebrae (\d+) \(([ctls]\d+)\)", name):
            part, number, short = level.groups()
            found.append({"phrases": f"{short} vertebral body; {short} body; {short} vertebra body; {part} {number} vertebral body; "
                          f"body of {part} vertebra {number}", "choices": name,
                          "why": "SAT's vertebrae are whole bones, arch included."})
    return found


def asks(table: dict[str, Row]) -> list[list[str]]:
    lines = []
    seen: set[str] = set()
    for source in rows("asks.tsv") + bodies(table):
        phrases = source["phrases"].split("; ")
        choices = source["choices"].split("; ")
        for phrase in phrases:
            if phrase in seen:
                raise SystemExit(f"asks.tsv: {phrase!r} asks twice")
            seen.add(phrase)
        for choice in choices:
            if choice not in table:
                raise SystemExit(f"asks.tsv: {phrases[0]!r} offers {choice!r}, which is no name here")
        lines.append([phrases[0], "ask", "", "", "", "", " + ".join(choices), "; ".join(phrases[1:]), source["why"],
                      "", "", "", ""])
    return lines


def build() -> str:
    table: dict[str, Row] = {}
    classes(table)
    hierarchy(table)
    composites(table)
    halves_and_wholes(table)
    synonyms(table)
    codes(table)
    both_sides(table)
    for row in table.values():
        if not row.parents and side_of(row.name) and base_of(row.name) in table:
            row.parents.append((base_of(row.name), "laterality"))
        for ways in row.parts.values():
            for part in (part for way in ways for part in way):
                if part not in table:
                    raise SystemExit(f"{row.name}: its part {part!r} is no name here")
    definitions(table)
    inclusions(table)
    neighbours(table)
    lines = [row.cells() for row in sorted(table.values(), key=lambda row: natural(row.name))] + asks(table)
    text = "\n".join("\t".join(cells) for cells in [list(COLUMNS), *lines]) + "\n"
    head = "# Generated by tools/anatomy/build.py from the tables beside it; edit those, then run it.\n"
    return head + text


def main() -> int:
    text = build()
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text("utf8") != text:
            print(f"{TARGET} is not what tools/anatomy/build.py gives: run it and commit the result", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text, "utf8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
