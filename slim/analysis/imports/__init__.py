"""The import graph of a stack, and the proof that no file which stays imports one that goes."""
