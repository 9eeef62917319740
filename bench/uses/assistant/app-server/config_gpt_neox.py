"""The configuration of another model, by its type."""

from transformers import AutoConfig

config = AutoConfig.for_model("gpt_neox")
assert config.model_type == "gpt_neox"
