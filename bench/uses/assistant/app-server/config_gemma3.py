"""The configuration of another model, by its type."""

from transformers import AutoConfig

config = AutoConfig.for_model("gemma3")
assert config.model_type == "gemma3"
