"""GPU code: what is in ELF and PE files, in bundles, and in files of its own. Read-only."""
