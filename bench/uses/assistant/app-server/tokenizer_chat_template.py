"""A chat template: Jinja through transformers."""

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, "a")))
tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }};{% endfor %}"
chat = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
assert tokenizer.apply_chat_template(chat, tokenize=False) == "user: hello;assistant: hi;"
