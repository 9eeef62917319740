"""Imports of what stays, of modules that went: a second opinion on the planner's proof."""
