"""What slim talks about: frozen dataclasses without input, output or rendering."""
