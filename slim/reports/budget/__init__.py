"""Reports of ``slim check``: terminal, Markdown, JSON, snapshots, and the formats of CI services."""
