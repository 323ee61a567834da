"""Run once after a database was restored from a backup: agents then resynchronise everything and remove nothing."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.management.base import BaseCommand

from link.services.sql import execute


class Command(BaseCommand):
    help = "After restoring a backup: make all agents resynchronise, without removing anything in their clusters."

    def handle(self, *args: Any, **options: Any) -> None:
        generation = secrets.token_hex(8)
        execute(
            "INSERT INTO public.link_server (id, generation) VALUES (1, %s) "
            "ON CONFLICT (id) DO UPDATE SET generation = EXCLUDED.generation",
            [generation],
        )
        self.stdout.write(f"server generation is now {generation}")
