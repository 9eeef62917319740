"""The page of ``--report html``: data, template, style and scripts, packed into one file."""
