"""ELF files: identification, dynamic section, layout, edits, and debug files split off."""
