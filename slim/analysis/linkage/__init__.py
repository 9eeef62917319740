"""The library graph of a stack: which native file needs which, and which are used."""
