"""Commands that are imported when they are run: ``runai`` starts fast whatever the others need."""

import importlib
from collections.abc import Mapping

import click


class LazyGroup(click.Group):
    """``lazy`` maps a command's name to ``module:attribute`` and its line in the help."""

    lazy: Mapping[str, tuple[str, str]] = {}

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*super().list_commands(context), *self.lazy})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.lazy:
            return super().get_command(context, name)
        module, _, attribute = self.lazy[name][0].partition(":")
        found: click.Command = getattr(importlib.import_module(module), attribute)
        return found

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of the help, without importing what it names."""
        rows = [
            (name, self.lazy[name][1] if name in self.lazy else self.commands[name].get_short_help_str(90))
            for name in self.list_commands(context)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
