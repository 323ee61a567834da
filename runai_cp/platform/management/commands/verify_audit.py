"""``manage.py verify_audit [--schema NAME]``: walk the audit chain of each tenant. Exit status 1 when one is broken."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from access.services.chain import verify_chain
from tenants.context import in_tenant, ready_schemas


class Command(BaseCommand):
    help = "Check that no entry of the audit trail was changed or removed; prints one JSON object a tenant."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--schema", help="only this tenant's schema")

    def handle(self, *args: Any, **options: Any) -> None:
        broken = False
        for schema_name in [options["schema"]] if options["schema"] else ready_schemas():
            with in_tenant(schema_name) as tenant:
                report = verify_chain()
            broken = broken or not report.whole
            self.stdout.write(json.dumps({"tenant": tenant.name, **asdict(report), "whole": report.whole}))
        if broken:
            sys.exit(1)
