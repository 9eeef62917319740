"""Parsers of tool calls, which mlx_lm imports by name."""

import importlib

for name in ("json_tools", "mistral", "qwen3_coder"):
    assert importlib.import_module(f"mlx_lm.tool_parsers.{name}")
