"""The command line: parse, one call into the pipeline, a report, an exit code."""

from __future__ import annotations

from collections.abc import Sequence

import click

from slim import __version__
from slim.cli.audit import audit_command
from slim.cli.check import check_command
from slim.cli.delta import delta_group
from slim.cli.demo import demo_command
from slim.cli.diff import diff_command
from slim.cli.errors import EXIT_USAGE, guarded
from slim.cli.explain import explain_command
from slim.cli.options import SuggestingGroup
from slim.cli.restore import restore_command
from slim.cli.rules import rules_group
from slim.cli.run import run_command
from slim.cli.verify import verify_command

__all__ = ["main", "root"]

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
    ("slim rules list", "what slim knows"),
)


@click.group(
    cls=SuggestingGroup,
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
        click.echo(context.get_help(), err=True)
        context.exit(EXIT_USAGE)


root.add_command(audit_command)
root.add_command(demo_command)
root.add_command(run_command)
root.add_command(verify_command)
root.add_command(restore_command)
root.add_command(explain_command)
root.add_command(check_command)
root.add_command(diff_command)
root.add_command(delta_group)
root.add_command(rules_group)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` by default) and return the exit code."""
    return guarded(root, arguments)
