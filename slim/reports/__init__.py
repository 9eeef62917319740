"""Reports of what slim did, for people and for programs: results in, text out.

Reports see the model only, and never print. Each subject has a folder, whose ``__init__`` holds the
table of its reports.
"""
