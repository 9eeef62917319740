"""Oracles that judge edited native files; none shares code with the editor that it judges."""
