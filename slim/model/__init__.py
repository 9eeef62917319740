"""The model: frozen dataclasses without input, output or rendering."""
