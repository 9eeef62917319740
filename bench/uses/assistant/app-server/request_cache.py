"""Caches of prompts: rotating, quantised, saved and loaded."""

import tempfile

import mlx.core as mx
from mlx_lm.models.cache import KVCache, RotatingKVCache, load_prompt_cache, save_prompt_cache

cache = [KVCache(), RotatingKVCache(max_size=8)]
for layer in cache:
    layer.update_and_fetch(mx.zeros((1, 2, 4, 8)), mx.zeros((1, 2, 4, 8)))
with tempfile.TemporaryDirectory() as folder:
    save_prompt_cache(f"{folder}/a.safetensors", cache)
    assert len(load_prompt_cache(f"{folder}/a.safetensors")) == 2
