"""Input that tries what slim promises: generators, and the table of what has to come of each."""
