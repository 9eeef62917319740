"""Qt in its Python bindings: names of its modules, what QML imports, and what is used."""
