"""Jail of one command: nothing of it gets out or survives. Standard library only.

``warden`` is the process that slim starts. ``first`` sets the namespaces up and runs the command,
``root`` makes the file system that it sees, ``syscalls`` filters what it may ask of the kernel, and
``bounds`` says how much memory it takes. slim's Python imports this as ``workers.jail``, without
slim.
"""
