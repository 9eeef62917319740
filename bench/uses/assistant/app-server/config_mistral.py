"""The configuration of another model, by its type."""

from transformers import AutoConfig

config = AutoConfig.for_model("mistral")
assert config.model_type == "mistral"
