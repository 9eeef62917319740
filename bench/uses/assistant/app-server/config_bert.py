"""The configuration of another model, by its type."""

from transformers import AutoConfig

config = AutoConfig.for_model("bert")
assert config.model_type == "bert"
