"""Publishes: layers and manifest go to a staging folder, which appears as the output in one rename."""
