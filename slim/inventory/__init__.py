"""From what the user pointed at to a stack of layers, and from layers to an inventory of files."""
