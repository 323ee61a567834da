"""``manage.py suspend_tenant NAME``."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from runai_cp.lib.errors import DomainError
from runai_cp.platform.lifecycle import suspend_tenant


class Command(BaseCommand):
    help = "Refuse everybody of a tenant until it is resumed; its clusters go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="name of the tenant")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenant = suspend_tenant(options["name"])
        except DomainError as error:
            self.stderr.write(f"suspend_tenant: {error.message}")
            sys.exit(2)
        self.stdout.write(f"Tenant {tenant.name} is {tenant.state}.")
