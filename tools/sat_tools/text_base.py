"""Reads a text encoder's base folder: which body (config.json), and how words become pieces (the tokenizer's files).

Only local files; no code that a folder may bring is run.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase
from transformers.utils import logging

from .checkpoint import first_line
from .text import MAX_LENGTH, FirstTokenEncoder, TextEncoder, encode_texts

logging.set_verbosity_error()


class BaseFolderError(Exception):
    """What is wrong with a base folder and the way out, in one line."""


def read_base(folder: Path, kind: str, names: list[str], query_width: int) -> tuple[nn.Module, Tokenizer]:
    """A text encoder with random weights, and the tokenizer that the server shall use for it.

    The tokenizer's ids of all `names` are compared with those of the published way, so that whatever a folder's
    settings do, the file that goes into the model does the same.
    """
    config = read_config(folder)
    theirs = read_tokenizer(folder)
    ours = servers_tokenizer(folder, theirs)
    if config.vocab_size < ours.get_vocab_size():
        raise BaseFolderError(
            f"{folder}: the tokenizer has {ours.get_vocab_size()} pieces, but config.json only a vocab_size of "
            f"{config.vocab_size}; take both from one model"
        )
    # An MPNet numbers its positions from behind the padding's.
    positions = config.max_position_embeddings - (config.pad_token_id + 1 if config.model_type == "mpnet" else 0)
    if positions < MAX_LENGTH[kind]:
        raise BaseFolderError(
            f"{folder}/config.json: the body has room for {positions} ids, but a prompt may have {MAX_LENGTH[kind]}; "
            f"give the base that the text encoder was trained from"
        )
    if kind != "ours" and config.hidden_size != query_width:
        raise BaseFolderError(
            f"{folder}/config.json: hidden_size {config.hidden_size}, but SAT's queries are {query_width} wide; "
            f"give the base that the text encoder was trained from"
        )
    for name in names:
        compare_ids(folder, theirs, ours, name, kind)
    try:
        return TextEncoder(config, query_width) if kind == "ours" else FirstTokenEncoder(config, kind), ours
    except Exception as error:  # what a config can get wrong, each body notices in its own way
        raise BaseFolderError(
            f"{folder}/config.json: no text encoder comes of it ({first_line(error)}); give the base encoder's own"
        ) from None


def compare_ids(folder: Path, theirs: PreTrainedTokenizerBase, ours: Tokenizer, name: str, kind: str) -> None:
    try:
        wanted, found = published_ids(theirs, name, kind), encode_texts(ours, [name], kind)[0][0].tolist()
    except Exception as error:  # as for a file that cannot be read
        raise BaseFolderError(
            f"{folder}: the tokenizer fails on {name!r} ({first_line(error)}); give the base encoder's own files"
        ) from None
    if wanted != found:
        raise BaseFolderError(
            f"{folder}: {name!r} becomes {wanted} as published, but {found} by the file made for the server; "
            "give a folder with the base encoder's own tokenizer files"
        )


def read_config(folder: Path) -> PretrainedConfig:
    if not (folder / "config.json").is_file():
        raise BaseFolderError(
            f"{folder}: no config.json; --text-base wants a local folder with the base encoder's config.json and "
            "tokenizer files (for example of FremyCompany/BioLORD-2023-C)"
        )
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        sizes = [config.vocab_size, config.hidden_size, config.max_position_embeddings]
        if config.model_type == "mpnet":
            sizes.append(config.pad_token_id + 1)
    except Exception as error:  # files of any content, and a library that checks them with types of its own
        raise BaseFolderError(
            f"{folder}/config.json: not a text encoder's config ({first_line(error)}); give the base encoder's own"
        ) from None
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise BaseFolderError(f"{folder}/config.json: sizes {sizes} are not all above 0; give the base encoder's own")
    return config


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer as the published code opens it, from tokenizer.json or from vocab.txt alone."""
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        raise BaseFolderError(f"{folder}: neither tokenizer.json nor vocab.txt; add one of the base encoder's")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizer library raises bare Exception for a file it cannot read
        raise BaseFolderError(
            f"{folder}: the tokenizer files cannot be read ({first_line(error)}); give the base encoder's own"
        ) from None


def servers_tokenizer(folder: Path, theirs: PreTrainedTokenizerBase) -> Tokenizer:
    """The same as a tokenizer.json for the server. Sentence encoders' files often ask for cutting and padding to some
    length; the published code has its own rules for both."""
    backend = getattr(theirs, "backend_tokenizer", None)
    kind = "none of this library" if backend is None else type(backend.model).__name__
    if kind != "WordPiece":
        raise BaseFolderError(
            f"{folder}: a tokenizer of type {kind}, but the server reads WordPiece only (as MPNet and BERT have it)"
        )
    ours = Tokenizer.from_str(backend.to_str())
    ours.no_truncation()
    ours.no_padding()
    if ours.token_to_id(ours.model.unk_token) is None:
        raise BaseFolderError(
            f"{folder}: the vocabulary lacks its own unknown token {ours.model.unk_token}; add vocab.txt or "
            "tokenizer.json of the base encoder"
        )
    return ours


def published_ids(tokenizer: PreTrainedTokenizerBase, name: str, kind: str) -> list[int]:
    """Ids as the published code makes them, with the base's own tokenizer."""
    text = name.lower()
    if kind != "ours":
        return tokenizer(text, truncation=True, max_length=MAX_LENGTH[kind])["input_ids"]
    ids = tokenizer.convert_tokens_to_ids(["[CLS]", *tokenizer.tokenize(text), "[SEP]"])
    return ids if len(ids) <= MAX_LENGTH[kind] else [*ids[: MAX_LENGTH[kind] - 1], ids[-1]]


def tokenizer_json(tokenizer: Tokenizer) -> bytes:
    """The file, laid out so that a person can look at it."""
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, indent=1).encode()
