#!/usr/bin/env python3
"""Build src/anatomy/catalogue.tsv, the one file that sat-mcp's anatomy room reads.

Sources, all beside this script (README.md says where they come from):
  sat-classes.tsv    SAT's (modality, class) pairs with region, abnormality and annotated scans
  sat-hierarchy.tsv  which classes SAT's authors made as unions of which
  composites.tsv     names without a class of their own whose pieces are classes; names other models offer
  synonyms.tsv       what people call them
  asks.tsv           phrases that ask back
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
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "src" / "anatomy" / "catalogue.tsv"
MODALITIES = ("ct", "mri", "pet")
SIDES = ("left", "right")
COLUMNS = ("name", "kind", "region", "laterality", "scans", "part_of", "parts", "synonyms", "note",
           "definition", "neighbours", "includes", "codes")
LONGEST_DEFINITION = 160

# Terminologies whose codes a name may carry, one code of each; in a cell between this separator, a side in brackets.
SCHEMES = ("SCT", "UBERON", "FMA")
CODE_SEPARATOR = " | "
CODE_TEXT = re.compile(r"[^\t|\[\]]+")  # a meaning that can't be taken for separator or side

# Pairs whose joining would not be what the words say.
NO_WHOLE = {"lobe of liver"}
# A class with several parents belongs first to the one by place, then to the one by side.
PARENT_ORDER = ("lobe", "rib number", "vertebra level", "vertebra group", "disc level", "loader", "BraTS", "laterality")

ORDINALS = ["", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
            "eleventh", "twelfth"]
ADJECTIVES = {"cervical": ("c", "cervicalis"), "thoracic": ("t", "thoracica"), "lumbar": ("l", "lumbalis")}


def rows(name: str) -> list[dict[str, str]]:
    """A table: lines beginning with # and empty lines are for people."""
    lines = [line for line in (HERE / name).read_text("utf8").splitlines() if line.strip() and not line.startswith("#")]
    header = lines[0].split("\t")
    table = []
    for line in lines[1:]:
        cells = line.split("\t")
        if len(cells) > len(header):
            raise SystemExit(f"{name}: too many cells in {line!r}")
        table.append(dict(zip(header, cells + [""] * (len(header) - len(cells)))))
    return table


def side_of(name: str) -> str:
    words = name.split()
    found = [side for side in SIDES if side in words]
    return found[0] if len(found) == 1 else ""


def base_of(name: str) -> str:
    """The name without its side: 'head of left femur' -> 'head of femur'."""
    return " ".join(word for word in name.split() if word not in SIDES)


class Row:
    def __init__(self, name: str) -> None:
        self.name = name
        self.kind = "union"  # until SAT's own table says otherwise
        self.regions: list[str] = []
        self.scans: dict[str, int] = {}
        self.parents: list[tuple[str, str]] = []
        self.parts: dict[str, list[list[str]]] = {}  # modality -> ways to divide it
        self.synonyms: list[str] = []
        self.note = ""
        self.definition = ""
        self.neighbours: list[str] = []
        self.includes: dict[str, list[str]] = {}  # modality -> what is inside of it, parts aside
        self.codes: dict[str, str] = {}  # scheme -> "SCT 64033007 Kidney [Left]"

    def divide(self, modality: str, parts: list[str]) -> None:
        ways = self.parts.setdefault(modality, [])
        if not any(set(way) == set(parts) for way in ways):
            ways.append(parts)

    def add_synonyms(self, synonyms: list[str]) -> None:
        for synonym in synonyms:
            if synonym and synonym != self.name and synonym not in self.synonyms:
                self.synonyms.append(synonym)

    def part_of(self) -> str:
        def rank(parent: tuple[str, str]) -> int:
            return next((i for i, kind in enumerate(PARENT_ORDER) if parent[1].startswith(kind)), len(PARENT_ORDER))

        return min(self.parents, key=rank)[0] if self.parents else ""

    def cells(self) -> list[str]:
        ways: dict[str, list[str]] = {}
        for modality in MODALITIES:
            for way in self.parts.get(modality, []):
                ways.setdefault(" + ".join(way), []).append(modality)
        parts = " | ".join(f"{','.join(modalities)}: {way}" for way, modalities in ways.items())
        scans = ", ".join(f"{m} {self.scans[m]}" for m in MODALITIES if m in self.scans)
        regions = self.regions if len(set(self.regions)) > 1 else self.regions[:1]
        return [self.name, self.kind, " | ".join(regions), side_of(self.name), scans, self.part_of(), parts,
                "; ".join(self.synonyms), self.note, *self.knowledge_cells(),
                CODE_SEPARATOR.join(self.codes[scheme] for scheme in SCHEMES if scheme in self.codes)]

    def knowledge_cells(self) -> list[str]:
        includes: dict[str, list[str]] = {}
        for modality in MODALITIES:
            if modality in self.includes:
                includes.setdefault(" + ".join(self.includes[modality]), []).append(modality)
        return [self.definition, "; ".join(self.neighbours),
                " | ".join(f"{','.join(modalities)}: {names}" for names, modalities in includes.items())]


def natural(text: str) -> list:
    return [int(piece) if piece.isdigit() else piece for piece in re.split(r"(\d+)", text)]


def classes(table: dict[str, Row]) -> None:
    for source in rows("sat-classes.tsv"):
        row = table.setdefault(source["class"], Row(source["class"]))
        row.kind = "abnormality" if source["abnormal"] == "1" else "structure"
        row.regions.append(source["region"])
        row.scans[source["modality"]] = int(source["annotated_scans"])


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


def asks(table: dict[str, Row]) -> list[list[str]]:
    lines = []
    for source in rows("asks.tsv"):
        phrases = source["phrases"].split("; ")
        choices = source["choices"].split("; ")
        for choice in choices:
            if choice not in table:
                raise SystemExit(f"asks.tsv: {phrases[0]!r} offers {choice!r}, which is no name here")
        lines.append([phrases[0], "ask", "", "", "", "", " + ".join(choices), "; ".join(phrases[1:]), source["why"],
                      "", "", "", ""])
    return lines


def codes(table: dict[str, Row]) -> None:
    for source in rows("codes.tsv"):
        name, scheme, modifier = source["name"], source["scheme"], source["modifier"]
        where = f"codes.tsv: {scheme} of {name!r}"
        if name not in table:
            raise SystemExit(f"codes.tsv: no class or composite is called {name!r}")
        if scheme not in SCHEMES or not source["value"].isdigit() or not source["source"]:
            raise SystemExit(f"{where}: not a code of {', '.join(SCHEMES)} with its source")
        if not CODE_TEXT.fullmatch(source["meaning"]):
            raise SystemExit(f"{where}: the meaning is empty or holds a separator")
        served = {name: modifier}
        if modifier == "*":
            served = {name: ""} | {row.name: side_of(row.name).title() for row in table.values()
                                   if side_of(row.name) and base_of(row.name) == name}
            if len(served) == 1:
                raise SystemExit(f"{where}: '*', but there is no left or right {name}")
        elif modifier and modifier.lower() != side_of(name):
            raise SystemExit(f"{where}: {modifier!r} is not its side")
        for each, side in served.items():
            if scheme in table[each].codes:
                raise SystemExit(f"codes.tsv: {each!r} has two codes of {scheme}")
            code = f"{scheme} {source['value']} {source['meaning']}"
            table[each].codes[scheme] = f"{code} [{side}]" if side else code


LEVEL = re.compile(r"(cervical|thoracic|lumbar) vertebrae \d+ \(([ctl])(\d+)\)")
PLACES = {"cervical": "neck", "thoracic": "chest", "lumbar": "lower back"}
# Vertebrae from the head down, as short names: c1 ... l5. A sixth lumbar vertebra is rare and has rows of its own.
SPINE = [f"{letter}{number}" for letter, last in (("c", 7), ("t", 12), ("l", 5)) for number in range(1, last + 1)]


def short_level(name: str) -> str:
    """'lumbar vertebrae 5 (l5)' -> 'l5'; '' for what is no single vertebra."""
    found = LEVEL.fullmatch(name)
    return f"{found[2]}{found[3]}" if found else ""


def level_definition(name: str) -> str:
    """What a vertebra, a disc or a rib of this number is."""
    if (level := short_level(name)) in SPINE:
        place = SPINE.index(level)
        above = SPINE[place - 1].upper() if place else "the skull"
        below = SPINE[place + 1].upper() if place + 1 < len(SPINE) else "the sacrum"
        where = PLACES[name.split()[0]]
        return f"Vertebra {level.upper()}: bone of the spine in the {where}, between {above} and {below}."
    if name.startswith("intervertebral disc between"):
        upper, lower = re.search(r"\((\w\d+)\) and (?:.*\((\w\d+)\)|sacrum)$", name).groups()
        below = f"the vertebral body of {lower.upper()}" if lower else "the sacrum"
        return f"Cushion of cartilage between the vertebral body of {upper.upper()} and {below}."
    if found := re.fullmatch(r"(?:(left|right) )?rib (\d+)", name):
        side, number = found[1], int(found[2])
        course = "around the chest towards the breastbone" if number < 11 else "around the flank, with a free end"
        where = f"on the {side}" if side else "on both sides"
        return f"{ORDINALS[number].capitalize()} rib from the top, {where}: from the vertebra T{number} {course}."
    return ""


def level_neighbours(table: dict[str, Row]) -> list[tuple[str, str]]:
    """Pairs of vertebrae, discs and ribs that follow from their numbers; sides as in neighbours.tsv."""
    by_level = {short_level(name): name for name in table if short_level(name)}
    pairs = [(by_level[upper], by_level[lower]) for upper, lower in zip(SPINE, SPINE[1:])]
    for last in ("l5", "l6"):
        pairs += [(by_level[last], below) for below in ("sacrum", "sacral vertebrae 1 (s1)")]
    pairs.append((by_level["l5"], by_level["l6"]))
    for number in range(1, 13):
        pairs.append((f"rib {number}", by_level[f"t{number}"]))
        if number > 1:
            pairs.append((f"rib {number - 1}", f"rib {number}"))
    for name in table:
        if name.startswith("intervertebral disc between"):
            ends = re.findall(r"\((\w\d+)\)", name)
            pairs += [(name, by_level[end]) for end in ends] + ([(name, "sacrum")] if len(ends) == 1 else [])
    return pairs


def sided(table: dict[str, Row]) -> dict[tuple[str, str], str]:
    """(base, side) -> name: ('head of femur', 'left') -> 'head of left femur'."""
    return {(base_of(name), side_of(name)): name for name in table if side_of(name)}


def definitions(table: dict[str, Row]) -> None:
    given: dict[str, str] = {}
    for source in rows("definitions.tsv"):
        name, text = source["name"], source["definition"]
        if name in given:
            raise SystemExit(f"definitions.tsv: two rows for {name!r}")
        if name not in table:
            raise SystemExit(f"definitions.tsv: {name!r} is no name here")
        if len(text) > LONGEST_DEFINITION or not text[:1].isupper() or not text.endswith(".") or '"' in text:
            raise SystemExit(f"definitions.tsv: {name!r} wants one sentence, with a capital, a full stop and no double "
                             f"quotes, of at most {LONGEST_DEFINITION} characters")
        given[name] = text
    for row in table.values():
        row.definition = given.get(row.name) or given.get(base_of(row.name)) or level_definition(row.name)
        if not row.definition:
            raise SystemExit(f"definitions.tsv: {row.name!r} has no definition")


def neighbours(table: dict[str, Row]) -> None:
    names = sided(table)
    links: dict[str, list[str]] = {name: [] for name in table}

    def link(one: str, other: str) -> None:
        for here, there in ((one, other), (other, one)):
            if there not in links[here]:
                links[here].append(there)

    def on_side(name: str, side: str) -> str:
        """The name on that side; what has no sides is the same on both."""
        return names.get((name, side), name)

    def pair(name: str, other: str, only: str = "") -> None:
        for unknown in {name, other} - set(table):
            raise SystemExit(f"neighbours.tsv: {unknown!r} is no name here")
        if side_of(name) and side_of(other):
            return link(name, other)
        one_sided = only or side_of(name) or side_of(other)
        for side in [one_sided] if one_sided else SIDES:
            link(on_side(name, side), on_side(other, side))

    for source in rows("neighbours.tsv"):
        for cell in source["neighbours"].split("; "):
            other, _, only = cell.partition("@")
            if only and only not in SIDES:
                raise SystemExit(f"neighbours.tsv: {cell!r} names no side after '@'")
            pair(source["name"], other, only)
    for one, other in level_neighbours(table):
        pair(one, other)

    # A whole has what both its sides have: kidney touches the colon, but only the right kidney the liver.
    for whole in table:
        left, right = (links.get(names.get((whole, side), ""), []) for side in SIDES)
        for near in left:
            base = base_of(near) if side_of(near) else near
            if base in table and base != whole and names.get((base, "right"), base) in right:
                link(whole, base)

    for name, near in links.items():
        for other in near:
            if other == name or other in inside(table, name):
                raise SystemExit(f"neighbours.tsv: {other!r} is {name!r} or inside of it, not beside it")
        # Of what lies in the midline, a reader wants the wholes first and the sides of them last.
        table[name].neighbours = near if side_of(name) else sorted(near, key=lambda other: bool(side_of(other)))


def inside(table: dict[str, Row], name: str) -> set[str]:
    """Everything that a class is said to hold in any modality: parts, inclusions and what these hold."""
    found: set[str] = set()
    todo = [name]
    while todo:
        row = table[todo.pop()]
        held = {part for ways in row.parts.values() for way in ways for part in way}
        held.update(part for parts in row.includes.values() for part in parts)
        todo += held - found
        found |= held
    return found


def inclusions(table: dict[str, Row]) -> None:
    names = sided(table)
    for source in rows("inclusions.tsv"):
        modality, whole = source["modality"], source["whole"].lstrip("=")
        if modality not in MODALITIES or not source["why"]:
            raise SystemExit(f"inclusions.tsv: {whole!r} wants a modality and where it is said")
        wholes = [(whole, "")]
        if not source["whole"].startswith("="):
            wholes += [(names[whole, side], side) for side in SIDES if (whole, side) in names]
        for part in source["included"].split("; "):
            for name in (whole, part):
                if name not in table or modality not in table[name].scans:
                    raise SystemExit(f"inclusions.tsv: SAT has no {name!r} in {modality}")
            if part in {p for way in table[whole].parts.get(modality, []) for p in way}:
                raise SystemExit(f"inclusions.tsv: {part!r} is a part of {whole!r} already")
            for name, side in wholes:
                held = names.get((part, side), "") if side else part
                if held and all(modality in table[one].scans for one in (name, held)):
                    table[name].includes.setdefault(modality, []).append(held)


def build() -> str:
    table: dict[str, Row] = {}
    classes(table)
    hierarchy(table)
    composites(table)
    halves_and_wholes(table)
    synonyms(table)
    codes(table)
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
