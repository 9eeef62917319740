"""GPT-2's own tokenizer class, from a vocabulary on disk."""

import json
import tempfile
from pathlib import Path

from transformers import GPT2Tokenizer

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    (folder / "vocab.json").write_text(json.dumps({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}))
    (folder / "merges.txt").write_text("#version: 0.2\na b\n")
    tokenizer = GPT2Tokenizer.from_pretrained(name)
assert tokenizer.encode("ab") == [2]
