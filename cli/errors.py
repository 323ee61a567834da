"""What the command says when it cannot do its work: one line on stderr and an exit status."""

import click


class Refused(click.ClickException):
    """The server said no: 1 for most reasons, 2 when something that was asked is not valid."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def show(self, file: object = None) -> None:
        click.echo(f"runai: {self.format_message()}", err=True)


class BadUsage(Refused):
    """A flag that does not go together with another, or a value that cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=2)
