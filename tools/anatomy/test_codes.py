"""The codes of codes.tsv are those that their sources give, and the sides are right."""

import re
from collections import defaultdict

import build
import tables
import pytest
from pydicom.sr._concepts_dict import concepts  # pydicom's public `codes` can't be asked for a value

ROWS = tables.rows("codes.tsv")

# Structures of one side that no code needs a modifier for: the middle lobe, the heart's chambers, the liver's segments.
ONE_SIDED = re.compile(r"right lung middle lobe|(left|right) heart (atrium|ventricle)|left auricle of heart"
                       r"|(left|right) .*(segment|section|lobe) of liver")


def codes_in_the_catalogue():
    for line in build.build().splitlines():
        cells = line.split("\t")
        if not line.startswith("#") and cells[0] != "name" and cells[-1]:
            for code in cells[-1].split(tables.CODE_SEPARATOR):
                scheme, value, rest = code.split(" ", 2)
                meaning, _, side = rest.rstrip("]").partition(" [")
                yield cells[0], scheme, value, meaning, side


@pytest.mark.parametrize("row", [row for row in ROWS if row["scheme"] == "SCT"], ids=lambda row: row["name"])
def test_dicom_publishes_the_code_with_this_meaning(row):
    meanings = {found[row["value"]][0] for found in concepts["SCT"].values() if row["value"] in found}
    assert row["meaning"] in meanings


def test_ids_have_the_form_of_their_scheme():
    form = {"SCT": r"[1-9]\d{5,17}", "UBERON": r"\d{7}", "FMA": r"[1-9]\d*"}
    for row in ROWS:
        assert re.fullmatch(form[row["scheme"]], row["value"]), row


def test_an_id_has_one_meaning():
    meanings = defaultdict(set)
    for row in ROWS:
        meanings[row["scheme"], row["value"]].add(row["meaning"])
    assert not {code: found for code, found in meanings.items() if len(found) > 1}


def test_fma_comes_through_the_uberon_term_of_the_same_row():
    uberon = {row["name"]: (row["meaning"], row["modifier"]) for row in ROWS if row["scheme"] == "UBERON"}
    for row in ROWS:
        if row["scheme"] == "FMA":
            assert uberon[row["name"]] == (row["meaning"], row["modifier"]), row


def test_no_name_has_two_codes_of_one_scheme():
    seen = set()
    for name, scheme, *_ in codes_in_the_catalogue():
        assert (name, scheme) not in seen
        seen.add((name, scheme))


def test_sided_names_carry_their_side_and_no_other_names_do():
    for name, scheme, value, meaning, side in codes_in_the_catalogue():
        if ONE_SIDED.fullmatch(name):
            assert side == "", (name, meaning)
        else:
            assert side.lower() == tables.side_of(name), (name, scheme, value, meaning, side)


def test_a_meaning_never_says_the_other_side():
    for name, _, _, meaning, side in codes_in_the_catalogue():
        words = set(meaning.lower().split())
        if "left ventricle" in meaning.lower() and name == "myocardium":
            continue  # its synonyms: the left ventricle's
        assert words & set(tables.SIDES) <= {tables.side_of(name)}, (name, meaning)
        assert not (side and words & set(tables.SIDES)), f"{name}: the code says its side already"


def test_both_sides_have_the_same_code():
    of_side = defaultdict(dict)
    for name, scheme, value, _, side in codes_in_the_catalogue():
        if side:
            of_side[tables.base_of(name), scheme][side] = value
    for name, sides in of_side.items():
        assert len(set(sides.values())) == 1 and len(sides) == 2, (name, sides)


@pytest.mark.parametrize(("line", "says"), [
    ("nose\tSCT\t1\tNose\t\ttest", "no class or composite"),
    ("liver\tICD\t1\tLiver\t\ttest", "not a code of"),
    ("liver\tSCT\tx\tLiver\t\ttest", "not a code of"),
    ("liver\tSCT\t1\tLiver\t\t", "with its source"),
    ("liver\tSCT\t1\tLiver | Kidney\t\ttest", "separator"),
    ("liver\tSCT\t1\tLiver\t*\ttest", "no left or right"),
    ("left kidney\tSCT\t1\tKidney\tRight\ttest", "not its side"),
    ("kidney\tSCT\t1\tKidney\t*\ttest\nleft kidney\tSCT\t1\tKidney\tLeft\ttest", "two codes"),
])
def test_bad_rows_are_refused(line, says, tmp_path, monkeypatch):
    for table in tables.HERE.glob("*.tsv"):
        (tmp_path / table.name).write_text(table.read_text("utf8"), "utf8")
    (tmp_path / "codes.tsv").write_text(f"name\tscheme\tvalue\tmeaning\tmodifier\tsource\n{line}\n", "utf8")
    monkeypatch.setattr(tables, "HERE", tmp_path)
    with pytest.raises(SystemExit, match=re.escape(says)):
        build.build()
