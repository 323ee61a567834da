"""``manage.py create_tenant NAME --domain HOST --admin-email E``: open a customer; prints its secrets once."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from runai_cp.lib.errors import DomainError
from runai_cp.platform.provision import Provisioned, provision_tenant


class Command(BaseCommand):
    help = "Create a tenant with its schema, first administrator and first application. Prints the secrets once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="lower-case letters, digits and hyphens; starts with a letter")
        parser.add_argument(
            "--domain", action="append", required=True, help="host name without port; may be repeated, first is primary"
        )
        parser.add_argument("--admin-email", required=True, help="e-mail address of the first administrator")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = provision_tenant(
                name=options["name"], domains=tuple(options["domain"]), admin_email=options["admin_email"]
            )
        except DomainError as error:
            self.stderr.write(f"create_tenant: {error.message}")
            sys.exit(2)
        self.stdout.write(json.dumps(_document(made)) if options["json"] else _lines(made))


def _document(made: Provisioned) -> dict[str, Any]:
    return {
        "tenant": made.tenant.name,
        "id": made.tenant.pk,
        "schema": made.tenant.schema_name,
        "domains": list(made.domains),
        "admin": {"email": made.admin_email, "password": made.admin_password},
        "application": {"id": made.application_id, "secret": made.application_secret},
    }


def _lines(made: Provisioned) -> str:
    return "\n".join(
        [
            f"Tenant {made.tenant.name} is ready at {', '.join(made.domains)}.",
            f"Administrator  {made.admin_email}",
            f"Password       {made.admin_password}   (shown once)",
            f"Application    {made.application_id}",
            f"Secret         {made.application_secret}   (shown once)",
        ]
    )
