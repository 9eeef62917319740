"""Rules for people and for programs: the table of all, a page for each, and both as JSON."""
