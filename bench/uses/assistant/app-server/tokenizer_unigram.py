"""A Unigram tokenizer, saved and loaded again."""

import tempfile

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

tokenizer = Tokenizer(models.Unigram())
tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
words = ["the quick brown fox", "jumps over the lazy dog"] * 9
tokenizer.train_from_iterator(words, trainers.UnigramTrainer(vocab_size=40, unk_token="<unk>"))
with tempfile.TemporaryDirectory() as folder:
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).encode("the fox")
