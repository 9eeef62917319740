"""The class of another model family, found as mlx_lm.load finds it."""

from mlx_lm.utils import _get_classes

model, arguments = _get_classes({"model_type": "phi3"})
assert model.__name__ == "Model" and arguments
