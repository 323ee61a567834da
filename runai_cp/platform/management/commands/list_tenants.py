"""``manage.py list_tenants``: who there is, in which state, with which migrations."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from runai_cp.platform.lifecycle import list_tenants, shape


class Command(BaseCommand):
    help = "List tenants."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON list")
        parser.add_argument("--deleted", action="store_true", help="deleted ones too")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = list_tenants(deleted=options["deleted"])
        if options["json"]:
            self.stdout.write(json.dumps([shape(row) for row in rows]))
            return
        for row in rows:
            schema = row.schema
            mark = f"{schema.state} {schema.fingerprint[:12]}" if schema else "unknown"
            self.stdout.write(
                f"{row.tenant.pk:<8}{row.tenant.name:<32}{row.tenant.state:<12}{row.clusters:>4} clusters  "
                f"{mark:<24}{', '.join(row.domains)}"
            )
