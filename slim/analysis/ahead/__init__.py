"""Readings made by several processes, before they are asked for."""
