"""Make the WordPiece vocabulary of sat-mini from anatomy names: every word of SAT's class list and of our synonyms is
a piece of its own, and single characters catch the rest.

    python tools/make_tokenizer.py --sat-classes sat-classes.tsv --out onnx/sat-mini/tokenizer.json
"""

from __future__ import annotations

import argparse
import csv
import re
import string
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from sat_tools.classes import read_classes

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
EXTRA = (
    "the of in and side sided right left both l r bilateral segment segmentation show mask volume mri t1 t2 flair head"
)


def vocabulary(names: list[str]) -> list[str]:
    """[PAD] must be id 0: the mask is made from `id > 0`."""
    words = sorted({w for name in names for w in re.findall(r"[a-z0-9]+", name.lower())} | set(EXTRA.split()))
    letters = string.ascii_lowercase + string.digits
    single = [*letters, *string.punctuation]
    pieces = [*SPECIAL, *single, *(f"##{c}" for c in letters)]
    endings = sorted(
        {f"##{e}" for e in ("s", "es", "al", "ar", "ic", "us", "um", "ae", "is", "ed", "ing", "ly")} - set(pieces)
    )
    return [*pieces, *endings, *(w for w in words if w not in single)]


def make_tokenizer(names: list[str]) -> Tokenizer:
    ids = {piece: i for i, piece in enumerate(vocabulary(names))}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sat-classes", type=Path, required=True, help="SAT's class list, with a column `class`")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with args.sat_classes.open(newline="", encoding="utf-8") as file:
        names = [row["class"] for row in csv.DictReader(file, delimiter="\t")]
    names += [phrase for c in read_classes() for phrase in c.phrases()]
    tokenizer = make_tokenizer(names)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(args.out))
    print(f"{args.out}: {tokenizer.get_vocab_size()} pieces")


if __name__ == "__main__":
    main()
