"""Rules: read from TOML, checked, compiled, and asked which files they select."""
