"""``manage.py delete_tenant NAME --confirm NAME``: revoke its agents, drop its tables. Repeat it after a crash."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from runai_cp.lib.errors import DomainError
from runai_cp.platform.lifecycle import ask_deletion, delete_tenant


class Command(BaseCommand):
    help = "Delete a tenant with everything in it. There is no way back; export it first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="name of the tenant")
        parser.add_argument("--confirm", default="", help="the name again")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tables = delete_tenant(ask_deletion(options["name"], options["confirm"]))
        except DomainError as error:
            self.stderr.write(f"delete_tenant: {error.message}")
            sys.exit(2)
        self.stdout.write(f"Tenant {options['name']} is deleted: {tables} tables.")
