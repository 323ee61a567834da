"""Bulk acts on rows that somebody else removes meanwhile: every verb of every list tells of such a row, and fails for
no other."""

import importlib

import pytest
from django.db import connection, transaction

from access import lists
from access.models import AccessKey, AccessRule, Application, AuditEntry, Group, Role, Scope, User
from access.services.bootstrap import system_actor
from clusters.models import NetworkTopology, NodePool
from projects.services import CreateDepartment, create_department
from runai_cp.lib.tables import Bulk
from tests.access.test_console_lists import text
from tests.fixtures_rooms import make_cluster, make_project, make_workload

pytestmark = pytest.mark.services
VERBS = [
    *(("/access/users/bulk", verb) for verb in ("sign-out", "reset-factors", "enable", "disable", "delete")),
    *(("/access/applications/bulk", verb) for verb in ("enable", "disable", "delete")),
    *(("/access/roles/bulk", verb) for verb in ("enable", "disable", "delete")),
    *(("/clusters/bulk", verb) for verb in ("safe-mode", "end-safe-mode", "delete")),
    *(("/workloads/bulk/", verb) for verb in ("suspend", "resume", "delete")),
    *((f"/{place}/bulk", "delete") for place in
      ("access/groups", "access/keys", "access/rules", "node-pools", "topologies", "departments", "projects")),
]  # fmt: skip
"""(where the form is posted to, verb), of all lists."""
AGAIN = [(f"/{place}/bulk", "delete") for place in ("clusters", "node-pools", "topologies", "projects")]
"""Acts that are as good as done on a row that went while they ran: they may be asked for twice."""


def rows_of(place):
    """Two rows of a list, made for it."""
    match list_of(place):
        case "users":
            return [User.objects.create(email=f"{name}@people.test") for name in "ab"]
        case "groups":
            return [Group.objects.create(name=name, created_by="t") for name in "ab"]
        case "roles":
            return [Role.objects.create(name=name, permission_sets=["event-history"], created_by="t") for name in "ab"]
        case "applications":
            return [
                Application.objects.create(name=f"ci-{n}", client_id=n, secret_hash="", created_by="t") for n in "ab"
            ]
        case "keys":
            owner = User.objects.get(email="bob@example.test")
            return [AccessKey.objects.create(owner=owner, name=n, client_id=f"key-{n}", secret_hash="") for n in "ab"]
        case "rules":
            return _rules()
        case "clusters":
            return [make_cluster(name) for name in ("alpha", "beta")]
    return _supply(list_of(place))


def list_of(place):
    """``/access/groups/bulk`` → ``groups``."""
    return place.strip("/").split("/")[-2]


def _rules():
    bob = User.objects.get(email="bob@example.test")
    root = Scope.objects.get(kind="tenant")
    return [
        AccessRule.objects.create(
            subject_kind="user", subject_id=bob.pk, subject_name=bob.email, role=role, scope=root, created_by="t"
        )
        for role in ("viewer", "researcher")
    ]


def _supply(kind):
    cluster = make_cluster()
    match kind:
        case "node-pools":
            return [NodePool.objects.create(cluster=cluster, name=n, label_key="p", label_value=n) for n in "ab"]
        case "topologies":
            return [NetworkTopology.objects.create(cluster=cluster, name=n, levels=["zone"]) for n in "ab"]
        case "projects":
            return [make_project(cluster, name) for name in ("team-a", "team-b")]
        case "workloads":
            project = make_project(cluster)
            return [make_workload(project, name) for name in ("one", "two")]
    return [
        create_department(actor=system_actor(), request=CreateDepartment(name=name, cluster=cluster))
        for name in ("left", "right")
    ]


def post(browser, place, verb, rows):
    """The form, and the page that asks once more where there is one."""
    form = {"verb": verb, "ids": ",".join(str(row.pk) for row in rows)}
    return browser.post(place, form | {"typed": f"{verb} {len(rows)} {list_of(place).replace('-', ' ')}"})


def away(row):
    """As if somebody else had removed it: the row alone, whatever hangs on it."""
    with connection.cursor() as cursor:
        cursor.execute(f'DELETE FROM "{row._meta.db_table}" WHERE "{row._meta.pk.column}" = %s', [row.pk])


def vanishing(monkeypatch, first, *, in_the_act):
    """The first row goes after all were read: before its turn, or after its turn has begun."""
    real, looked = lists._there, []

    def there(rows, row):
        begins = row.pk not in looked
        looked.append(row.pk)
        if row.pk == first.pk and begins:
            away(first)
            return in_the_act
        return real(rows, row)

    monkeypatch.setattr(lists, "_there", there)


@pytest.mark.parametrize("in_the_act", [False, True], ids=["before", "within"])
@pytest.mark.parametrize(("place", "verb"), VERBS)
def test_a_row_that_vanishes_is_told_and_stops_no_other(acme, monkeypatch, place, verb, in_the_act):
    rows, browser = rows_of(place), acme.browser()
    with transaction.atomic():
        vanishing(monkeypatch, rows[0], in_the_act=in_the_act)
        body = text(post(browser, place, verb, rows))
        transaction.set_rollback(True)
    told, done = (0, 2) if in_the_act and (place, verb) in AGAIN else (1, 1)
    assert (body.count(lists.GONE), body.count("Done</span>")) == (told, done), body[body.find("<main") :][:1500]


def test_every_verb_of_every_list_is_in_the_table():
    tables = [importlib.import_module(f"{room}.tables") for room in ("access", "clusters", "projects", "workloads")]
    found = [one for module in tables for value in vars(module).values()
             for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, Bulk)]  # fmt: skip
    assert sorted(one.verb for one in found) == sorted(verb for _, verb in VERBS)


def test_what_was_ticked_and_is_gone_already_is_counted(acme):
    rows = rows_of("/access/groups/bulk")
    away(rows[0])
    body = text(post(acme.browser(), "/access/groups/bulk", "delete", rows))
    assert "1 group more was selected, and no longer exists" in body


def test_a_removal_that_comes_second_is_audited_once(acme, monkeypatch):
    rows = rows_of("/access/groups/bulk")
    with transaction.atomic():
        vanishing(monkeypatch, rows[0], in_the_act=True)
        post(acme.browser(), "/access/groups/bulk", "delete", rows)
        found = AuditEntry.objects.filter(action="delete", entity_type="group").values_list("entity_id", flat=True)
        assert list(found) == [str(rows[1].pk)]
        transaction.set_rollback(True)


def test_a_fault_of_another_kind_is_a_fault_still(acme, monkeypatch):
    rows = rows_of("/access/groups/bulk")
    monkeypatch.setattr("access.views.groups.delete_group", lambda **_: User.objects.get(email="nobody"))
    answer = acme.browser()
    answer.raise_request_exception = False
    assert post(answer, "/access/groups/bulk", "delete", rows).status_code == 500
