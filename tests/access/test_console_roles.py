"""Roles as a list like every other: the platform's and the tenant's own together; bulk acts spare the former."""

import pytest

from access.models import AccessRule, AuditEntry, Role, Scope, User
from access.roles import PREDEFINED
from tests.access.test_console_lists import text
from tests.conftest import grant

pytestmark = pytest.mark.services
LIST = "/access/roles/"


@pytest.fixture
def auditor(acme):
    return Role.objects.create(name="auditor", permission_sets=["event-history"], created_by="ops")


def shown(body):
    """Names of the roles of a page, in its order."""
    known = [role.title for role in PREDEFINED.values()] + list(Role.objects.values_list("name", flat=True))
    return sorted((name for name in known if f">{name}</a>" in body), key=lambda name: body.index(f">{name}</a>"))


def give(role, email="bob@example.test"):
    user = User.objects.get(email=email)
    return AccessRule.objects.create(
        subject_kind="user", subject_id=user.pk, subject_name=email, role=f"custom-{role.pk}", custom_role=role,
        scope=Scope.objects.get(kind="tenant"), created_by="ops",
    )  # fmt: skip


def test_both_kinds_stand_in_one_order_whatever_their_case(acme, auditor):
    names = shown(text(acme.browser().get(LIST)))
    assert len(names) == len(PREDEFINED) + 1
    assert names[:2] == ["AI practitioner", "auditor"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("f=kind%3D%3Dcustom", ["auditor"]),
        ("q=AUDIT", ["auditor"]),
        ("f=enabled%3D%3Dfalse", []),
        ("f=name%3D%40viewer&sort=name&order=desc", ["Viewer", "Department viewer"]),
    ],
)
def test_filters_search_and_order_hold_for_both(acme, auditor, query, names):
    assert shown(text(acme.browser().get(f"{LIST}?{query}"))) == names


def test_a_role_says_by_how_many_rules_it_is_given_and_what_it_may_do(acme, auditor):
    give(auditor)
    page = text(acme.browser().get(f"{LIST}{auditor.pk}/"))
    assert "1 rule</a>" in page
    assert "Event history" in page


def test_rules_elsewhere_are_not_counted_for_who_may_not_see_them(acme, project, auditor):
    give(auditor)
    grant("charlie@example.test", "project-administrator", project.scope)
    assert "0 rules" in text(acme.browser("charlie@example.test").get(f"{LIST}{auditor.pk}/"))


@pytest.mark.parametrize("number", [1, 12])
def test_a_role_of_the_platform_has_a_page_and_no_form(acme, number):
    client = acme.browser()
    assert client.get(f"{LIST}{number}/").status_code == 200
    assert client.get(f"{LIST}{number}/edit/").status_code == 404


@pytest.mark.parametrize("number", [0, 999, 2**31, 10**30])
def test_a_number_of_no_role_is_not_found(acme, number):
    client = acme.browser()
    assert [client.get(f"{LIST}{number}/{page}").status_code for page in ("", "edit/")] == [404, 404]


def test_roles_are_disabled_together_and_the_platforms_stay(acme, auditor):
    answer = acme.browser().post(f"{LIST}bulk", {"verb": "disable", "ids": f"1,{auditor.pk}"})
    auditor.refresh_from_db()
    assert (answer.status_code, auditor.enabled) == (207, False)
    assert "role of the platform" in text(answer)


def test_a_role_that_is_given_stays_and_its_row_says_so(acme, auditor):
    give(auditor)
    free = Role.objects.create(name="free", permission_sets=["event-history"], created_by="ops")
    form = {"verb": "delete", "every": "yes", "query": "f=kind%3D%3Dcustom", "ids": ""}
    assert "1 access rules give this role" in text(acme.browser().post(f"{LIST}bulk", form))
    assert list(Role.objects.all()) == [auditor]
    assert AuditEntry.objects.filter(action="delete", entity_type="role", entity_id=free.pk).count() == 1


def test_a_file_of_roles_ends_and_holds_each_once(acme, auditor):
    lines = text(acme.browser().get(f"{LIST}?export=csv")).splitlines()
    assert len(lines) == len(set(lines)) == len(PREDEFINED) + 2


def test_the_api_filters_pages_and_names_what_is_allowed(acme, auditor):
    client = acme.api()
    found = client.get("/api/v2/authorization/roles?filterBy=kind==custom").json()["roles"]
    assert [row["name"] for row in found] == ["auditor"]
    page = client.get("/api/v2/authorization/roles?limit=5&cursor=").json()
    rest = client.get(f"/api/v2/authorization/roles?limit=50&cursor={page['nextCursor']}").json()
    assert len({row["id"] for row in page["roles"] + rest["roles"]}) == len(PREDEFINED) + 1
    wrong = client.get("/api/v2/authorization/roles?filterBy=shoe==1")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "filterBy")
