"""``manage.py rotate_issuer_keys --schema NAME``: withdraw a tenant's signing keys for kubectl users; make a new one.

For a key that leaked. Keys are replaced every month without it.
"""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from access.services.bootstrap import system_actor
from access.services.issuer_keys import rotate_keys
from tenants.context import in_tenant


class Command(BaseCommand):
    help = "Sign ID tokens with a new key from now on; tokens of all others are refused within a minute."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--schema", required=True, help="the tenant's schema")

    def handle(self, *args: Any, **options: Any) -> None:
        with in_tenant(options["schema"]) as tenant:
            rotate_keys(actor=system_actor("operator"), now=timezone.now(), at_once=True)
        self.stdout.write(json.dumps({"tenant": tenant.name, "rotated": True}))
