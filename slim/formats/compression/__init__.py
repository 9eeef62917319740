"""Compressions of tar files, one a module."""
