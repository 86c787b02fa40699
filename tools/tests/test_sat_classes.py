"""Tables of classes are merged by name, and bad rows are all named."""

import pytest

from sat_tools.sat_classes import SAT_CLASSES, ClassTableError, class_entries, read_pairs


def test_sat_has_498_pairs_of_451_names():
    assert len(read_pairs(SAT_CLASSES)) == 498
    entries = {entry["name"]: entry for entry in class_entries()}
    assert len(entries) == 451
    assert entries["liver"] == {"name": "liver", "modalities": ["ct", "mri"]}
    assert sum(len(entry["modalities"]) for entry in entries.values()) == 498


def test_a_table_of_ones_own_keeps_its_order_and_the_regions_of_new_names(tmp_path):
    table = tmp_path / "mine.tsv"
    table.write_text("\ufeffclass\tmodality\tregion\nspleen\tct\tabdomen\n\ntail\tmri\tpelvis\nspleen\tpet\tabdomen\n")
    assert class_entries(table) == [
        {"name": "spleen", "modalities": ["ct", "pet"]},
        {"name": "tail", "modalities": ["mri"], "region": "pelvis"},
    ]


@pytest.mark.parametrize(
    "text, fault",
    [
        ("", "the first line names no column modality and no column class"),
        ("modality,class\nct,liver\n", "the first line names no column modality and no column class"),
        ("modality\tname\nct\tliver\n", "the first line names no column class"),
        ("modality\tclass\n", "a header but no row"),
        ("modality\tclass\nxray\tliver\n", "line 2: modality 'xray' is none of ct, mri, pet"),
        ("modality\tclass\nct\t \n", "line 2 has no class"),
        ("modality\tclass\nct\n", "line 2 has 1 columns, not 2"),
        ("modality\tclass\nct\tliver\nct\tliver\n", r"line 3 repeats line 2 \(ct, liver\)"),
        ("modality\tclass\nx\tliver\nct\t\nct\ta\tb\n", "line 2: .*; line 3 .*; line 4 "),
        ("modality\tclass\n" + "x\tliver\n" * 30, "and 10 more; correct these rows"),
    ],
)
def test_bad_tables_are_refused(text, fault, tmp_path):
    table = tmp_path / "mine.tsv"
    table.write_text(text)
    with pytest.raises(ClassTableError, match=fault) as error:
        class_entries(table)
    assert str(error.value).startswith(f"{table}: ") and "\n" not in str(error.value)


def test_a_table_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "mine.tsv").write_bytes(b"\xff\xfe\x00x")
    with pytest.raises(ClassTableError, match="not UTF-8"):
        class_entries(tmp_path / "mine.tsv")
