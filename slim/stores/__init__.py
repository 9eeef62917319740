"""Stores of blobs under names: a folder of this machine, or a bucket that a URL names."""
