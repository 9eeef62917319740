"""Tar archives, plain or compressed: a strict parser, the reader, the writer."""
