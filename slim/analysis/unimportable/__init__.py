"""Modules that can't be imported, whoever tries: what they import first is in no layer."""
