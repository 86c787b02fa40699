"""The tables beside this file, and the row of the catalogue that they add up to."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent
MODALITIES = ("ct", "mri", "pet")
SIDES = ("left", "right")
# Terminologies whose codes a name may carry, one code of each; in a cell between this separator, a side in brackets.
SCHEMES = ("SCT", "UBERON", "FMA")
CODE_SEPARATOR = " | "
# A class with several parents belongs first to the one by place, then to the one by side.
PARENT_ORDER = ("lobe", "rib number", "vertebra level", "vertebra group", "disc level", "loader", "BraTS", "laterality")
ORDINALS = ["", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
            "eleventh", "twelfth"]


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


def per_modality(lists: dict[str, list[list[str]]]) -> str:
    """Lists of names by modality as one cell: 'ct,mri: left kidney + right kidney | mri: ...'."""
    modalities: dict[str, list[str]] = {}
    for modality in MODALITIES:
        for names in lists.get(modality, []):
            modalities.setdefault(" + ".join(names), []).append(modality)
    return " | ".join(f"{','.join(where)}: {names}" for names, where in modalities.items())


class Row:
    """What is known of one name; `cells` are its line in the catalogue."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind = "union"  # until SAT's own table says otherwise
        self.regions: list[str] = []
        self.scans: dict[str, int] = {}
        self.parents: list[tuple[str, str]] = []
        self.parts: dict[str, list[list[str]]] = {}  # modality -> ways to divide it
        self.synonyms: list[str] = []
        self.notes: list[str] = []
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
        scans = ", ".join(f"{m} {self.scans[m]}" for m in MODALITIES if m in self.scans)
        regions = self.regions if len(set(self.regions)) > 1 else self.regions[:1]
        return [self.name, self.kind, " | ".join(regions), side_of(self.name), scans, self.part_of(), per_modality(self.parts),
                "; ".join(self.synonyms), "; ".join(self.notes), self.definition, "; ".join(self.neighbours),
                per_modality({modality: [held] for modality, held in self.includes.items()}),
                CODE_SEPARATOR.join(self.codes[scheme] for scheme in SCHEMES if scheme in self.codes)]
