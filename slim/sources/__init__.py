"""Sources: what a user names (a path, a report in git), brought to this machine before it is read."""
