"""The checked-in catalogue is what the tables give, and the tables hold together."""

import re

import build
import knowledge
import tables
import pytest


def test_the_checked_in_catalogue_is_what_the_tables_give():
    assert build.TARGET.read_text("utf8") == build.build(), "run python3 tools/anatomy/build.py and commit the result"


def test_building_twice_gives_the_same():
    assert build.build() == build.build()


def test_all_pairs_of_sat_are_in_the_catalogue():
    lines = [line.split("\t") for line in build.build().splitlines() if not line.startswith("#")][1:]
    scans = {cells[0]: cells[4] for cells in lines if cells[1] in ("structure", "abnormality")}
    for row in tables.rows("sat-classes.tsv"):
        assert f"{row['modality']} {row['annotated_scans']}" in scans[row["class"]].split(", "), row


def test_no_synonym_of_the_tables_is_given_to_two_classes_of_one_modality():
    """Word for word; spelling variants are caught by tests/anatomy.rs."""
    seen = {}
    for line in build.build().splitlines():
        cells = line.split("\t")
        if len(cells) < 8 or cells[1] not in ("structure", "abnormality"):
            continue
        for synonym in filter(None, cells[7].split("; ")):
            for modality in (pair.split(" ")[0] for pair in cells[4].split(", ")):
                other = seen.setdefault((modality, synonym), cells[0])
                assert other == cells[0], f"{synonym!r} is {other!r} and {cells[0]!r} in {modality}"


def catalogue():
    """The generated lines by name, each a dict by column; phrases that ask are no names."""
    lines = [line.split("\t") for line in build.build().splitlines() if not line.startswith("#")]
    table = (dict(zip(lines[0], cells, strict=True)) for cells in lines[1:])
    return {line["name"]: line for line in table if line["kind"] != "ask"}


def neighbours():
    return {name: list(filter(None, line["neighbours"].split("; "))) for name, line in catalogue().items()}


def held(cell):
    """'ct,mri: a + b | pet: c' as (modality, name) pairs."""
    for piece in filter(None, cell.split(" | ")):
        modalities, names = piece.split(": ", 1)
        yield from ((modality, name) for modality in modalities.split(",") for name in names.split(" + "))


def test_every_name_has_a_definition_of_one_sentence():
    for name, line in catalogue().items():
        text = line["definition"]
        assert text[0].isupper() and text.endswith(".") and ". " not in text, (name, text)
        assert len(text) <= knowledge.LONGEST_DEFINITION, (name, text)


def test_a_definition_names_no_side_but_its_own():
    for name, line in catalogue().items():
        if side := tables.side_of(name):
            other = "right" if side == "left" else "left"
            words = set(line["definition"].replace(",", "").lower().split())
            # Of the middle lobe of the lung only, what the other side lacks is worth saying.
            assert other not in words or "left lung has none" in line["definition"], (name, line["definition"])


def test_neighbours_are_names_and_go_both_ways():
    near = neighbours()
    for name, others in near.items():
        assert name not in others and len(others) == len(set(others)), name
        for other in others:
            assert name in near[other], f"{name} has {other}, but not the other way round"


def test_a_sided_structure_has_no_neighbour_of_the_other_side_unless_a_row_says_so():
    across = set()
    for row in tables.rows("neighbours.tsv"):
        for other in row["neighbours"].split("; "):
            if tables.side_of(row["name"]) and tables.side_of(other) not in ("", tables.side_of(row["name"])):
                across |= {(row["name"], other), (other, row["name"])}
    for name, others in neighbours().items():
        for other in others:
            if tables.side_of(name) and tables.side_of(other) not in ("", tables.side_of(name)):
                assert (name, other) in across, (name, other)


def test_sides_get_their_own_neighbours():
    near = neighbours()
    assert "liver" in near["right kidney"] and "liver" not in near["left kidney"] and "liver" not in near["kidney"]
    assert "left adrenal gland" in near["left kidney"] and "adrenal gland" in near["kidney"]
    assert "left hip" in near["head of left femur"]
    assert "right rib 3" in near["thoracic vertebrae 3 (t3)"] and "right rib 4" in near["right rib 3"]


def test_structures_have_neighbours_and_lesions_have_none():
    # The lens is inside the eyeball; the others are findings that SAT's table does not count among the abnormalities.
    lone = {"lens", "white matter hyperintensities", "lymph node", "nasopharyngeal lymph node", "kidney cyst",
            "brain tumor core"}
    for name, line in catalogue().items():
        lesion = line["kind"] == "abnormality" or tables.base_of(name) in lone
        assert bool(line["neighbours"]) != lesion, name


def test_inclusions_exist_in_their_modality():
    lines = catalogue()
    for name, line in lines.items():
        for modality, other in held(line["includes"]):
            assert other != name
            for one in (name, other):
                taught = [scan.split(" ")[0] for scan in lines[one]["scans"].split(", ")]
                assert modality in taught, (name, modality, other)


def test_lesions_are_in_their_organs():
    lines = catalogue()
    assert lines["kidney"]["includes"] == "ct: kidney tumor + kidney cyst"
    assert lines["vertebrae"]["includes"] == "ct,mri: sacrum"
    assert lines["left femur"]["includes"] == "ct: head of left femur"
    assert ("mri", "myocardial scar") in held(lines["myocardium"]["includes"])


@pytest.mark.parametrize(
    ("file", "row"),
    [
        ("definitions.tsv", "spleeen\tAn organ."),
        ("definitions.tsv", "spleen\tan organ"),
        ("definitions.tsv", "spleen\t" + "A" * 160 + "."),
        ("neighbours.tsv", "spleen\tstomack"),
        ("neighbours.tsv", "spleen\tkidney@up"),
        ("neighbours.tsv", "kidney\tleft kidney"),
        ("neighbours.tsv", "liver\tliver tumor"),
        ("inclusions.tsv", "mri\tlung\tcovid-19 infection\tnot on MR"),
        ("inclusions.tsv", "ct\tkidney\tleft kidney\ta part already"),
        ("inclusions.tsv", "ct\tspleen\tliver\t"),
    ],
)
def test_a_wrong_row_is_refused(monkeypatch, file, row):
    true_rows = tables.rows

    def rows(name):
        table = true_rows(name)
        return table + [dict(zip(table[0], row.split("\t"), strict=True))] if name == file else table

    monkeypatch.setattr(knowledge, "rows", rows)
    with pytest.raises(SystemExit, match=file):
        build.build()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("spleeen\tboth", "wants to be a class"),
        ("lentiform nucleus\ta union", "wants to be a class"),
        ("renal artery\t", "wants to be a class"),
        ("kidney\tboth", "has a left and a right"),
        ("left kidney\tboth", "has a left and a right"),
        ("cochlea\tone class on MR", "has a left and a right"),
        ("gonad\tagain", "two rows"),
    ],
)
def test_a_class_of_both_sides_is_one_of_sat_without_a_left_and_a_right(monkeypatch, row, says):
    true_rows = tables.rows

    def rows(name):
        extra = [dict(zip(("name", "why"), row.split("\t"), strict=True))] if name == "both-sides.tsv" else []
        return true_rows(name) + extra

    monkeypatch.setattr(build, "rows", rows)
    with pytest.raises(SystemExit, match=says):
        build.build()


def test_notes_tell_of_both_sides_and_of_fetuses():
    noted = {name: line["note"] for name, line in catalogue().items() if line["note"]}
    both = {name for name, note in noted.items() if "both sides" in note.split("; ")}
    assert both == {row["name"] for row in tables.rows("both-sides.tsv")}
    fetal = {name for name, note in noted.items() if "fetuses only" in note.split("; ")}
    assert fetal == {"brain ventricle", "deep grey matter", "external cerebrospinal fluid", "grey matter", "white matter"}
    assert noted["renal artery"] == "both sides" and "liver" not in noted


def asked():
    """Phrase -> (choices, why) of the questions."""
    found = {}
    for line in build.build().splitlines():
        cells = line.split("\t")
        if len(cells) > 8 and cells[1] == "ask":
            for phrase in [cells[0], *filter(None, cells[7].split("; "))]:
                assert phrase not in found, f"{phrase!r} asks twice"
                found[phrase] = (cells[6].split(" + "), cells[8])
    return found


def test_no_question_is_hidden_by_a_name_or_synonym():
    """Whatever is a name of a class is taken for it and never asks; without regard to the order of words."""
    def key(phrase):
        return frozenset(phrase.split()) - {"of", "the", "in"}

    names = {key(phrase) for name, line in catalogue().items() for phrase in [name, *line["synonyms"].split("; ")]}
    assert not [phrase for phrase in asked() if key(phrase) in names]


def test_the_body_of_every_vertebra_asks_for_the_whole_bone():
    questions = asked()
    levels = [name for name in catalogue() if re.search(r" vertebrae \d+ \(", name) and "disc" not in name]
    assert len(levels) == 7 + 12 + 6 + 1
    for name in levels:
        short = name[name.index("(") + 1:-1]
        for phrase in (f"{short} vertebral body", f"{short} body"):
            assert questions[phrase] == ([name], "SAT's vertebrae are whole bones, arch included."), phrase


def test_a_question_twice_is_refused(monkeypatch):
    true_rows = tables.rows
    monkeypatch.setattr(build, "rows", lambda name: true_rows(name) * (2 if name == "asks.tsv" else 1))
    with pytest.raises(SystemExit, match="asks twice"):
        build.build()


def test_the_definition_of_one_side_is_not_of_both():
    for name, line in catalogue().items():
        if tables.side_of(name):
            words = set(re.findall(r"[a-z]+", line["definition"].lower()))
            # Both venae cavae lead to the right atrium.
            assert not words & {"either", "each", "pair", "both"} or name == "right heart atrium", name
