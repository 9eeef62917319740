"""Reports about a cache of results."""
