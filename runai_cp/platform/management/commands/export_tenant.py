"""``manage.py export_tenant NAME --to DIRECTORY``: all rows as compressed JSON lines, without secrets."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from runai_cp.lib.errors import DomainError
from runai_cp.platform.export import export_tenant
from tenants.services import find_tenant


class Command(BaseCommand):
    help = "Write a tenant's data into a new directory."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="name of the tenant")
        parser.add_argument("--to", required=True, help="directory to make")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            manifest = export_tenant(find_tenant(options["name"]), Path(options["to"]))
        except DomainError as error:
            self.stderr.write(f"export_tenant: {error.message}")
            sys.exit(2)
        rows = sum(table["rows"] for table in manifest["tables"].values())
        self.stdout.write(f"{rows} rows of {len(manifest['tables'])} tables are in {options['to']}.")
