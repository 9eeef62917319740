"""Sources: a path or a report in git, brought to this machine before it is read."""
