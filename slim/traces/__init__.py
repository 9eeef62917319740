"""Trace files: read, written and merged."""
