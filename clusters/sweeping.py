"""One round of a sweeper over all tenants: what fails in one is logged and stops no other."""

import logging
from collections.abc import Callable

from runai_cp.lib.errors import NotFound
from tenants.context import in_tenant, ready_schemas

log = logging.getLogger(__name__)


def in_each_tenant(sweep: Callable[[], object]) -> int:
    """Run ``sweep`` inside every ready tenant; returns in how many it failed. A suspended one is passed over."""
    failed = 0
    for schema_name in ready_schemas():
        try:
            with in_tenant(schema_name):
                sweep()
        except NotFound:
            continue  # suspended between the two lines
        except Exception:
            failed += 1
            log.exception("%s failed in %s", getattr(sweep, "__qualname__", sweep), schema_name)
    return failed
