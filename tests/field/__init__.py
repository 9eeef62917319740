"""The field trial: real wheels, slimmed, and what they are used for, before and after.

``python -m tests.field --help`` tells how; docs/field.md what came out.
"""
