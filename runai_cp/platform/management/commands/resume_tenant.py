"""``manage.py resume_tenant NAME``."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from runai_cp.lib.errors import DomainError
from runai_cp.platform.lifecycle import resume_tenant


class Command(BaseCommand):
    help = "Let a suspended tenant work again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="name of the tenant")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenant = resume_tenant(options["name"])
        except DomainError as error:
            self.stderr.write(f"resume_tenant: {error.message}")
            sys.exit(2)
        self.stdout.write(f"Tenant {tenant.name} is {tenant.state}.")
