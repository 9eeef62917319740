"""The library graph of a stack: which library loads which, by the rules of each loader."""
