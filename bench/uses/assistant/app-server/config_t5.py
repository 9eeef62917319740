"""The configuration of another model, by its type."""

from transformers import AutoConfig

config = AutoConfig.for_model("t5")
assert config.model_type == "t5"
