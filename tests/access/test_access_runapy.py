"""The public client, unmodified: it signs in, manages people and rights, and reads what the other rooms serve."""

import base64

import pytest
from runai import models
from runai.api_client import ApiClient
from runai.configuration import Configuration
from runai.exceptions import ApiException
from runai.runai_client import RunaiClient

from access.services.bootstrap import system_actor
from projects.services import CreateDepartment, create_department
from tests.access.pictures import png
from tests.fixtures_rooms import make_cluster, make_project, make_workload

pytestmark = pytest.mark.services


def sign_in(url: str, client_id: str, secret: str) -> RunaiClient:
    settings = Configuration(client_id=client_id, client_secret=secret, runai_base_url=url, retry_enabled=False)
    return RunaiClient(ApiClient(settings))


@pytest.fixture
def runapy(acme, served):
    with sign_in(served, acme.application_id, acme.application_secret) as client:
        yield client


@pytest.fixture
def identity(runapy):
    return runapy.authentication_and_authorization


@pytest.fixture
def as_alice(acme, served):
    """Alice, through an access key that she made with her password."""
    key = acme.api("alice@example.test").post(
        "/api/v1/access-keys", {"name": "laptop"}, content_type="application/json"
    )
    with sign_in(served, key.json()["clientId"], key.json()["clientSecret"]) as client:
        yield client


def test_a_wrong_secret_is_told_at_once(acme, served):
    with pytest.raises(ValueError, match="wrong"):
        sign_in(served, acme.application_id, "wrong")


def test_users_live_and_die(identity):
    made = identity.users.create_user(models.UserCreationRequest1(email="new@example.test")).data
    assert len(made["tempPassword"]) >= 12
    found = identity.users.get_users(filter_by=["username==new@example.test"]).data
    assert [row["id"] for row in found] == [made["id"]]
    assert identity.users.get_user_by_id(made["id"]).data["username"] == "new@example.test"
    assert identity.users.reset_user_password(made["id"]).data["tempPassword"] != made["tempPassword"]
    assert identity.users.logout_user(made["id"]).status_code == 200
    assert identity.users.delete_user_by_id(made["id"]).status_code == 204
    assert identity.users.count_users(filter_by=["username==new@example.test"]).data == {"count": 0}


def test_users_are_sorted_and_paged(identity):
    every = [row["username"] for row in identity.users.get_users(sort_by="username").data]
    pages = [identity.users.get_users(sort_by="username", limit=2, offset=at).data for at in range(0, len(every), 2)]
    assert [row["username"] for page in pages for row in page] == every == sorted(every)
    down = identity.users.get_users(sort_by=models.UsersFilterSortFields.USERNAME, sort_order="desc").data
    assert [row["username"] for row in down] == every[::-1]


def test_a_service_account_gets_a_role_and_loses_it(identity, acme, served):
    accounts, rules = identity.service_accounts, identity.access_rules
    made = accounts.create_service_account(models.ServiceAccountCreationRequest(name="ci-bot")).data
    role = next(row for row in identity.roles.get_roles_v1().data if row["name"] == "System administrator")
    assert identity.roles.get_role_v1(role["id"]).data["name"] == role["name"]
    asked = models.AccessRuleCreationFields(
        subject_id=made["id"],
        subject_type="service-account",
        role_id=role["id"],
        scope_id=acme.tenant.name,
        scope_type="tenant",
    )
    rule = rules.create_access_rule(asked).data
    bot = sign_in(served, made["clientId"], made["clientSecret"])
    assert bot.authentication_and_authorization.users.count_users().data["count"] >= 3
    mine = bot.authentication_and_authorization.me.get_me_access_rules().data["accessRules"]
    assert [row["id"] for row in mine["accessRules"]] == [rule["id"]]
    assert rules.delete_access_rule(rule["id"]).status_code == 204
    with pytest.raises(ApiException) as refused:
        bot.authentication_and_authorization.users.count_users()
    assert refused.value.status == 403


def test_a_disabled_or_renewed_account_is_out(identity, served):
    accounts = identity.service_accounts
    made = accounts.create_service_account(models.ServiceAccountCreationRequest(name="old-bot")).data
    bot = sign_in(served, made["clientId"], made["clientSecret"])
    accounts.regenerate_service_account_secret(made["id"])
    with pytest.raises(ApiException) as refused:
        bot.authentication_and_authorization.permissions.get_permissions()
    assert refused.value.status == 401
    patched = accounts.update_service_account_by_id(made["id"], models.ServiceAccountPatchRequest(enabled=False))
    assert patched.status_code == 200
    assert accounts.get_service_account_by_id(made["id"]).data["enabled"] is False
    assert made["id"] in [row["id"] for row in accounts.get_service_accounts().data]
    assert accounts.delete_service_account_by_id(made["id"]).status_code == 204


def test_access_keys_act_as_their_owner(as_alice, identity, served):
    keys = as_alice.authentication_and_authorization.access_keys
    made = keys.create_access_key1(models.AccessKeyCreationRequest1(name="pipeline")).data
    again = sign_in(served, made["clientId"], keys.regenerate_access_key_secret(made["id"]).data["clientSecret"])
    names = again.authentication_and_authorization.access_keys.get_access_keys().data["accessKeys"]
    assert {row["name"] for row in names} == {"laptop", "pipeline"}
    everybody = identity.access_keys.get_access_keys_administration(created_by="alice@example.test").data
    assert len(everybody["accessKeys"]) == 2
    assert keys.get_access_key_by_id1(made["id"]).data["name"] == "pipeline"
    identity.access_keys.delete_access_key_by_id_administration(made["id"])
    with pytest.raises(ApiException) as refused:
        again.authentication_and_authorization.access_keys.get_access_keys()
    assert refused.value.status == 401


def test_rules_in_batches_with_filters(identity, acme):
    rules = identity.access_rules
    subjects = [{"subjectId": f"{name}@example.test", "subjectType": "user"} for name in ("bob", "charlie")]
    payload = {"roleId": 4, "subjects": subjects, "scopes": [{"scopeId": acme.tenant.name, "scopeType": "tenant"}]}
    made = rules.access_rules_batch_create(models.AccessRulesBatchCreateFields.from_dict({"payload": payload})).data
    assert (len(made["succeeded"]), made["failed"]) == (2, [])
    found = rules.get_access_rules(filter_by=["roleName==Viewer"], sort_by="subjectId", limit=1).data
    assert [row["subjectId"] for row in found["accessRules"]] == ["bob@example.test"]
    assert (found["totalRecords"], found["displayRecords"]) == (2, 1)
    assert rules.count_access_rules(filter_by=["subjectType==user", "roleId==4"]).data == {"count": 2}
    ids = [f"00000000-0000-0000-0000-{row['id']:012x}" for row in made["succeeded"]]
    gone = rules.access_rules_batch(models.AccessRulesBatchFields(ids=ids, action="delete")).data
    assert (gone["succeeded"], gone["failed"]) == (ids, [])
    assert rules.get_access_rules(role_id=4, include_deleted=True).data["totalRecords"] >= 2
    assert rules.get_access_rules(role_id=4).data["totalRecords"] == 0


def test_permissions_and_scopes(identity, acme):
    assert "users" in [row["resourceType"] for row in identity.permissions.get_permissions().data]
    asked = models.GetPermittedScopesRequest(resource_type="project", action="read")
    assert identity.permissions.get_permitted_scopes(asked).data["read"]["tenants"] == [acme.tenant.name]


def test_settings_and_providers(identity):
    settings, idps = identity.settings, identity.idps
    settings.update_security_setting_by_key(
        models.SettingsKeyEnum.BROWSERSESSIONTIMEOUT, models.BrowserSessionTimeoutSetting(idle_timeout=30)
    )
    assert settings.get_security_settings().data["browserSessionTimeout"] == {"idleTimeout": 30}
    oidc = {
        "clientId": "runai",
        "clientSecret": "s3cret",
        "discoverDocumentUrl": "https://idp.example.com/.well-known/openid-configuration",
    }
    wanted = models.IdpCreationRequest.from_dict({"type": "oidc", "name": "corporate", "oidcData": oidc})
    assert idps.create_idp(wanted).data["alias"] == "corporate"
    assert [row["alias"] for row in idps.get_idps().data] == ["corporate"]
    assert idps.update_idp_mappers("corporate", models.Mappers(groups="teams")).status_code == 202
    assert idps.get_idp_mappers("corporate").data["groups"] == "teams"
    assert idps.delete_idp("corporate").status_code == 200


def test_the_audit_log_is_read_and_downloaded(runapy, identity):
    identity.users.create_user(models.UserCreationRequest1(email="seen@example.test"))
    log = runapy.audit.audit_logs
    found = log.get_audit_logs(
        start="2020-01-01T00:00:00Z", end="2099-01-01T00:00:00Z", filter_by=["entity_name==seen@example.test"]
    ).data
    assert [row["action"] for row in found["audit_logs"]] == ["create"]


def test_it_reads_what_the_other_rooms_serve(acme, served):
    cluster = make_cluster()
    for name in ("a", "b", "c"):
        make_workload(make_project(cluster, f"team-{name}"), f"train-{name}")
    with sign_in(served, acme.application_id, acme.application_secret) as client:
        organizations, workloads = client.organizations, client.workloads
        assert [row["name"] for row in organizations.clusters.get_clusters().data] == ["alpha"]
        assert organizations.clusters.get_cluster_by_uuid(str(cluster.pk)).data["name"] == "alpha"
        departments = organizations.departments.get_departments(filter_by=[f"clusterId=={cluster.pk}"]).data
        assert [row["name"] for row in departments["departments"]] == ["default"]
        first = organizations.projects.get_projects(
            sort_by=models.ProjectFilterSortFields.NAME, sort_order="desc", limit=2
        ).data
        assert ([row["name"] for row in first["projects"]], first["next"]) == (["team-c", "team-b"], 2)
        found = organizations.projects.get_projects(filter_by=["name==team-a"]).data["projects"]
        assert organizations.projects.get_project(found[0]["id"]).data["name"] == "team-a"
        assert organizations.projects.count_projects(search="team").data == {"count": 3}
        assert organizations.nodes.get_tenant_nodes().data == {"nodes": []}
        assert organizations.node_pools.get_nodepools().data["nodepools"][0]["name"] == "default"
        listed = workloads.workloads.get_workloads(
            filter_by=["projectName==team-b", "phase!=Failed"], sort_by="name"
        ).data
        assert [row["name"] for row in listed["workloads"]] == ["train-b"]
        assert workloads.workloads.count_workloads(filter_by=["name=^train"]).data == {"count": 3}


def test_pages_of_what_it_reads_join_to_the_whole(acme, served):
    """Departments, projects and workloads, sorted downwards, two by two; the same filter counts them."""
    cluster = make_cluster()
    for name in ("a", "b", "c", "d", "e"):
        department = create_department(actor=system_actor(), request=CreateDepartment(f"unit-{name}", cluster))
        make_workload(make_project(cluster, f"unit-{name}", department=department), f"unit-{name}")
    with sign_in(served, acme.application_id, acme.application_secret) as client:
        units, work = client.organizations, client.workloads.workloads
        reads = {
            "departments": (units.departments.get_departments, units.departments.count_departments),
            "projects": (units.projects.get_projects, units.projects.count_projects),
            "workloads": (work.get_workloads, work.count_workloads),
        }
        for kind, (read, count) in reads.items():
            pages = [
                read(filter_by=["name=@unit-"], sort_by="name", sort_order="desc", limit=2, offset=at).data[kind]
                for at in (0, 2, 4)
            ]
            assert [row["name"] for page in pages for row in page] == [f"unit-{name}" for name in "edcba"], kind
            assert count(filter_by=["name=@unit-"]).data == {"count": 5}, kind


def test_the_logo_goes_up_and_comes_back(runapy):
    logo = base64.b64encode(png()).decode()
    assert runapy.organizations.logo.upload_tenant_logo(models.LogoCreationRequest(logo=logo)).status_code == 200
    assert runapy.organizations.logo.get_tenant_logo().data == {"logo": logo}


def test_it_submits_a_training(acme, served):
    project = make_project(make_cluster())
    with sign_in(served, acme.application_id, acme.application_secret) as client:
        wanted = models.TrainingCreationRequest.from_dict(
            {
                "name": "by-runapy",
                "projectId": str(project.pk),
                "clusterId": str(project.cluster_id),
                "spec": {"image": "example.local/busybox:1", "compute": {"gpuDevicesRequest": 1}},
            }
        )
        assert client.workloads.trainings.create_training1(wanted).status_code == 202
