"""The checked-in catalogue is what the tables give, and the tables hold together."""

import build


def test_the_checked_in_catalogue_is_what_the_tables_give():
    assert build.TARGET.read_text("utf8") == build.build(), "run python3 tools/anatomy/build.py and commit the result"


def test_building_twice_gives_the_same():
    assert build.build() == build.build()


def test_all_pairs_of_sat_are_in_the_catalogue():
    lines = [line.split("\t") for line in build.build().splitlines() if not line.startswith("#")][1:]
    scans = {cells[0]: cells[4] for cells in lines if cells[1] in ("structure", "abnormality")}
    for row in build.rows("sat-classes.tsv"):
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
