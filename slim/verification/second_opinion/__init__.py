"""Second opinion on edited native files: LIEF reads the original and the edited one, too.

LIEF is C++ that reads foreign bytes, so it is only ever loaded in a child process
(:mod:`slim.verification.second_opinion.worker`). What it says is compared there, as far as a loader
looks: one module for each format tells what that is.
"""
