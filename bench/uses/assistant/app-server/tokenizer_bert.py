"""BERT's own tokenizer class, from a vocabulary on disk."""

import tempfile
from pathlib import Path

from transformers import BertTokenizer

with tempfile.TemporaryDirectory() as name:
    (Path(name) / "vocab.txt").write_text("[UNK]\n[SEP]\n[PAD]\n[CLS]\n[MASK]\nhi\n")
    tokenizer = BertTokenizer.from_pretrained(name)
assert tokenizer.encode("hi") == [3, 5, 1]
