"""Groups of commands: they know what was meant, and import a command when it is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem


@dataclass(frozen=True, slots=True)
class LateCommand:
    """A command that isn't imported yet: ``module:name``, and its line in the help of the group."""

    reference: str
    summary: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, name = self.reference.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


class SuggestingGroup(click.Group):
    """A group that knows what was meant, and has examples at the end of its help.

    ``late`` are commands by name that are imported when they run or when their own help is asked
    for; the help of the group and completion of their names do without.
    """

    def __init__(
        self,
        *arguments: Any,
        examples: Sequence[tuple[str, str]] = (),
        late: Mapping[str, LateCommand] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.examples = tuple(examples)
        self.late = dict(late or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*self.commands, *self.late})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported if need be; None where there is none of that name."""
        if cmd_name in self.late and cmd_name not in self.commands:
            self.add_command(self.late[cmd_name].load(), cmd_name)
        return super().get_command(ctx, cmd_name)

    def summary(self, name: str) -> str:
        """Return the line about a command in the help of this group."""
        if name in self.late:
            return self.late[name].summary
        return self.commands[name].get_short_help_str()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their summaries."""
        rows = [(name, self.summary(name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands, and the group's own options."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        own = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=self.summary(name)) for name in names), *own]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. Raise :class:`click.UsageError` that says which one is close."""
        name, names = args[0], self.list_commands(ctx)
        if name not in names and not name.startswith("-"):
            import difflib

            close = difflib.get_close_matches(name[:80], names, n=1)
            known = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
            raise click.UsageError(f"there is no command {name[:80]!r}; {known}", ctx)
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Give the examples."""
        write_examples(formatter, self.examples)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[tuple[str, str]]) -> None:
    """Write a section of command lines, each after what it is for."""
    if not examples:
        return
    with formatter.section("Examples"):
        for line, purpose in examples:
            formatter.write_text(f"# {purpose}")
            formatter.write_text(line)


def walk(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield a command and every one below it, each with the words that lead to it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from walk(below, (*path, name))
