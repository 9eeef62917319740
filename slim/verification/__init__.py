"""Reading staging back: whether what is about to be published is what was planned, and still works."""
