"""Sources: a path, a report in git, or a place in an object store, brought to this machine."""
