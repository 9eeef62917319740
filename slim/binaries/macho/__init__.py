"""Mach-O files: identification, load commands, layout, edits, signatures, symbol files."""
