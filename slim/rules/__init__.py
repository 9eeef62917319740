"""Rules: read from TOML, checked, and matched against the files of a layer."""
