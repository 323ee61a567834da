"""``manage.py fill_workloads TENANT --workloads N``: rows for benchmarks and the large demo."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from projects.models import Project
from tenants.context import in_tenant
from tenants.models import Tenant
from workloads.bulk import fill


class Command(BaseCommand):
    help = "Insert many workloads into a tenant's projects, as rows only: nothing reaches a cluster."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="name of the tenant")
        parser.add_argument("--workloads", type=int, default=10_000, help="how many, 1 to 1000000 (default 10000)")

    def handle(self, *args: Any, **options: Any) -> None:
        number = options["workloads"]
        tenant = Tenant.objects.filter(name=options["tenant"]).first()
        if tenant is None or not 1 <= number <= 1_000_000:
            self.stderr.write(f"fill_workloads: no tenant {options['tenant']!r}, or {number} is not 1 to 1000000")
            sys.exit(2)
        with in_tenant(tenant.schema_name):
            projects = list(Project.objects.present().with_names())
            if not projects:
                self.stderr.write("fill_workloads: the tenant has no project")
                sys.exit(2)
            self.stdout.write(f"{fill(projects, number)} workloads in {len(projects)} projects")
