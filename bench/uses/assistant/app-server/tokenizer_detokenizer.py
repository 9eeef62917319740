"""Streaming of text as mlx_lm's server does it."""

from mlx_lm.tokenizer_utils import NaiveStreamingDetokenizer, TokenizerWrapper
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

inner = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, "a")))
wrapper = TokenizerWrapper(inner, NaiveStreamingDetokenizer)
wrapper.detokenizer.add_token(0)
wrapper.detokenizer.finalize()
assert isinstance(wrapper.detokenizer.text, str)
