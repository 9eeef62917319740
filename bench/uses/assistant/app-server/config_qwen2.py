"""The configuration of another model, by its type."""

from transformers import AutoConfig

config = AutoConfig.for_model("qwen2")
assert config.model_type == "qwen2"
