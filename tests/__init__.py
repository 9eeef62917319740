"""Tests of slim. The folder is a package so that tests can share the helpers in it."""
