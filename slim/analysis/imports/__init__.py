"""The import graph of a stack: which module imports which, and what proves that nothing does."""
