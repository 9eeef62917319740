"""Faults: a run is killed, refused and interrupted at every system call that changes something.

``python -m tests.faults`` tries all of it and prints how many points were tried and what came of
each. Linux, strace; what needs root (small file systems, read-only mounts) is skipped without it,
visibly.
"""
