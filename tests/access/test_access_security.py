"""What the link saw at its door becomes an entry of the tenant's audit log, once."""

import pytest

from access.models import AuditEntry
from access.tasks import ingest_security
from link import services as link
from tests.fixtures_rooms import make_cluster

pytestmark = pytest.mark.services


@pytest.fixture
def told(acme):
    """The log's newest entry after the link has reported an event."""

    def tell(event, **detail):
        cluster = make_cluster("alpha")
        link.report_security(cluster_id=cluster.pk, schema_name=acme.schema_name, event=event, detail=detail)
        ingest_security(acme.schema_name)
        ingest_security(acme.schema_name)
        return AuditEntry.objects.get(actor_name="link", entity_id=str(cluster.pk))

    return tell


@pytest.mark.parametrize(
    ("event", "result"), [("enrolled", "success"), ("enrolment_refused", "failed"), ("cloned_credential", "failed")]
)
def test_an_event_is_one_entry_with_its_result(told, event, result):
    entry = told(event)
    assert (entry.action, entry.result) == (event, result)


def test_it_names_the_cluster_and_where_the_caller_was(told):
    entry = told("enrolment_refused", cluster="alpha", client="10.0.0.9", reason="enrolment_used")
    assert (entry.entity_name, entry.source_ip, entry.after["reason"]) == ("alpha", "10.0.0.9", "enrolment_used")


def test_an_address_that_is_none_is_left_out(told):
    assert told("enrolment_refused", client="a socket").source_ip is None
