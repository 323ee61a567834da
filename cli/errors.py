"""What the command says when it cannot do its work: one line on stderr and an exit status."""

import click


class Refused(click.ClickException):
    """The server, or this machine, said no."""

    exit_code = 1

    def show(self, file: object = None) -> None:
        click.echo(f"runai: {self.format_message()}", err=True)


class BadUsage(Refused):
    """Something that was asked is not valid: a flag that cannot be read, or a field that the server refuses."""

    exit_code = 2
