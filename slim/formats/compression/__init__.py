"""Compressions of tar files, one a module: how each is undone, done, and how much memory it takes."""
