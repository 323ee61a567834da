"""The ``runai`` command: groups and global flags. ``python -m cli`` is the same."""

import click

from cli.commands import account, projects, trainings, workloads
from cli.config import Config, folder

VERSION = "0.1.0"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--config-path", envvar="RUNAI_CLI_CONFIG_PATH", help="Folder of the configuration. Default: ~/.runai")
@click.option("--config-file", envvar="RUNAI_CLI_CONFIG_FILE", help="Name of the configuration file in that folder.")
@click.pass_context
def main(context: click.Context, config_path: str | None, config_file: str | None) -> None:
    """Submit AI workloads to shared GPU clusters and watch them run."""
    context.obj = Config(folder(config_path), config_file)


@main.command()
def version() -> None:
    """Print the version of this command."""
    click.echo(VERSION)


main.add_command(account.login)
main.add_command(account.logout)
main.add_command(account.whoami)
main.add_command(account.config)
main.add_command(projects.project)
main.add_command(trainings.training)
main.add_command(workloads.workload)
