"""Helpers around the operating system and JSON: signals, locks, durable files, strict parsing."""
