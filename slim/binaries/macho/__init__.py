"""Mach-O files: identification, load commands, layout, edits, code signatures, and dSYM files split off."""
