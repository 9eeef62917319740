"""Oracles that judge an edited native file against its original, each with no code of the editor it judges."""
