"""Other ways of sampling a token, with processors of logits."""

import mlx.core as mx
from mlx_lm.sample_utils import make_logits_processors, make_sampler

sampler = make_sampler(temp=0.7, top_p=0.9, min_p=0.01, top_k=5)
processors = make_logits_processors(repetition_penalty=1.1, repetition_context_size=4)
logits = processors[0](mx.array([1, 2]), mx.zeros((1, 10)))
assert 0 <= int(sampler(logits).item()) < 10
