"""What each name is, what touches it and what it holds: definitions.tsv, neighbours.tsv and inclusions.tsv."""

from __future__ import annotations

import re

from tables import MODALITIES, ORDINALS, SIDES, Row, base_of, rows, side_of

LONGEST_DEFINITION = 160
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
