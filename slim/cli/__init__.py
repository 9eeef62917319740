"""The command line: parse, one call of :mod:`slim.api`, a report, an exit code.

Starting costs little: a command and what it needs are imported when it runs.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence

import click

from slim import __version__
from slim.cli.descriptors import allow_own_files, open_standard_descriptors
from slim.cli.errors import EXIT_USAGE, guarded
from slim.cli.groups import LateCommand, SuggestingGroup
from slim.cli.terminal import tell

__all__ = ["COMMANDS", "main", "root"]

COMMANDS = {
    "audit": LateCommand("slim.cli.audit:audit_command", "Tell where the bytes are."),
    "cache": LateCommand("slim.cli.cache:cache_group", "Look after a cache of results."),
    "check": LateCommand("slim.cli.check:check_command", "Hold a stack against its size budgets."),
    "delta": LateCommand("slim.cli.delta:delta_group", "Make and apply update packages."),
    "demo": LateCommand("slim.cli.demo:demo_command", "Try slim on a sample stack."),
    "diff": LateCommand("slim.cli.diff:diff_command", "Tell what changed between two stacks."),
    "explain": LateCommand("slim.cli.explain:explain_command", "Tell why a file stays or goes."),
    "fleet": LateCommand("slim.cli.fleet:fleet_group", "Slim many stacks at once."),
    "restore": LateCommand("slim.cli.restore:restore_command", "Bring back what a run removed."),
    "rules": LateCommand("slim.cli.rules:rules_group", "List, show and check rules."),
    "run": LateCommand("slim.cli.run:run_command", "Make a stack smaller."),
    "trace": LateCommand("slim.cli.trace:trace_group", "Record what a product uses."),
    "verify": LateCommand(
        "slim.cli.verify:verify_command", "Try a slimmed stack against its original."
    ),
}
"""Every command. A new one is a module that calls :mod:`slim.api`, and a line here."""

_COLLECTIONS = (50_000, 10, 100)
"""Thresholds of the garbage collector. Syntax trees are many objects without cycles, which Python's
own thresholds look through again and again: an eighth of a dry run's CPU time."""

_EXAMPLES = (
    ("slim audit venv --report html=map.html", "where the bytes are"),
    ("slim run _artifacts --dry-run", "what could go"),
    ("slim run _artifacts -o _slim", "make it so"),
    ("slim verify _artifacts _slim", "whether all that worked still works"),
    ("slim restore removed.tar.zst _slim -o _back '**/tests/**'", "bring back what a run removed"),
    ("slim explain _artifacts bin/python3", "why a file stays or goes"),
    ("slim check _slim --baseline report.json", "whether it stays within its size budgets"),
    ("slim diff _artifacts _slim", "what changed"),
    ("slim delta _published _slim -o update", "what clients download to get there"),
    ("slim fleet run fleet.toml", "every stack of tonight"),
    ("slim trace _artifacts -o slim.trace", "what the product uses, for git"),
    ("slim rules list", "what slim knows"),
)


@click.group(
    cls=SuggestingGroup,
    late=COMMANDS,
    examples=_EXAMPLES,
    invoke_without_command=True,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="slim", message="%(prog)s %(version)s")
@click.pass_context
def root(context: click.Context) -> None:
    """Make the Python layers that venvstacks publishes smaller, and prove that they still work."""
    if context.invoked_subcommand is None:
        tell(context.get_help())
        context.exit(EXIT_USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` by default) and return the exit code."""
    open_standard_descriptors()
    allow_own_files()
    gc.set_threshold(*_COLLECTIONS)
    return guarded(root, arguments)
