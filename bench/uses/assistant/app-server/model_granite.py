"""The class of another model family, found as mlx_lm.load finds it."""

from mlx_lm.utils import _get_classes

model, arguments = _get_classes({"model_type": "granite"})
assert model.__name__ == "Model" and arguments
