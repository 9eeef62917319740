"""Zip archives: a strict parser, the reader, the writer."""
