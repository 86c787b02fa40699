"""Codes of open terminologies: codes.tsv."""

from __future__ import annotations

import re

from tables import SCHEMES, Row, base_of, rows, side_of

CODE_TEXT = re.compile(r"[^\t|\[\]]+")  # a meaning that can't be taken for separator or side


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
