"""The ``runai`` command: groups and global flags. ``python -m cli`` is the same."""

import click

from cli.config import Config, folder
from cli.lazy import LazyGroup

VERSION = "0.1.0"


class Commands(LazyGroup):
    lazy = {
        "auth": ("cli.commands.auth:auth", "Tokens for other programs."),
        "config": ("cli.commands.account:config", "Settings of this command."),
        "kubeconfig": ("cli.commands.kubeconfig:kubeconfig", "Let kubectl sign in as you."),
        "login": ("cli.commands.account:login", "Sign in."),
        "logout": ("cli.commands.account:logout", "Sign out."),
        "project": ("cli.commands.projects:project", "Projects and their quota."),
        "training": ("cli.commands.trainings:training", "Submit and follow trainings."),
        "whoami": ("cli.commands.account:whoami", "Who is signed in, and where."),
        "workload": ("cli.commands.workloads:workload", "All workloads."),
    }


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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
