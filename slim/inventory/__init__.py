"""Finds a stack, opens it as layers, and takes the inventory of their files."""
