"""``manage.py migrate_tenants``: bring all tenants' schemas to the code's migrations.

Run ``migrate_schemas --shared`` first. Repeat this after a failure or a crash: only those that are behind are touched.
Exit status 1 when some failed.
"""

import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from tenants.models import Tenant
from tenants.rollout import MAX_FAILURES, Summary, roll_out
from tenants.schemas import prepare_spares


class Command(BaseCommand):
    help = "Migrate the schemas of all tenants that are behind."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", action="append", help="only this one; may be repeated")
        parser.add_argument("--parallel", type=int, default=4, help="schemas at the same time, 1 to 16 (default 4)")
        parser.add_argument(
            "--max-failures", type=int, default=MAX_FAILURES, help=f"stop after so many (default {MAX_FAILURES})"
        )
        parser.add_argument("--spares", type=int, default=0, help="also keep so many schemas ready for new tenants")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["parallel"] <= 16 or options["max_failures"] < 1 or not 0 <= options["spares"] <= 100:
            self.stderr.write("migrate_tenants: --parallel is 1 to 16, --max-failures at least 1, --spares 0 to 100")
            sys.exit(2)
        only = None
        if options["tenant"]:
            known = dict(Tenant.objects.filter(name__in=options["tenant"]).values_list("name", "schema_name"))
            if missing := sorted(set(options["tenant"]) - set(known)):
                self.stderr.write(f"migrate_tenants: no tenant {', '.join(missing)}")
                sys.exit(2)
            only = known.values()
        begun = time.monotonic()
        summary = roll_out(only=only, parallel=options["parallel"], max_failures=options["max_failures"], say=self._say)
        if options["spares"]:
            prepare_spares(options["spares"])
        self._report(summary, time.monotonic() - begun)
        if summary.failed:
            sys.exit(1)

    def _say(self, summary: Summary) -> None:
        ended = summary.done + len(summary.failed) + len(summary.skipped)
        if ended == summary.total or ended % max(1, summary.total // 20) == 0:
            self.stdout.write(f"{ended}/{summary.total}, {len(summary.failed)} failed")

    def _report(self, summary: Summary, seconds: float) -> None:
        names = dict(
            Tenant.objects.filter(schema_name__in=[*summary.failed, *summary.skipped]).values_list(
                "schema_name", "name"
            )
        )
        for schema, error in summary.failed.items():
            self.stderr.write(f"{names.get(schema, schema)}: {error}")
        for schema, why in summary.skipped.items():
            self.stdout.write(f"{names.get(schema, schema)}: skipped, {why}")
        if summary.stopped:
            self.stderr.write("Stopped: too many failed. The others were not touched.")
        self.stdout.write(f"{summary.done} of {summary.total} tenants migrated in {seconds:.1f} s.")
