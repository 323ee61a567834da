"""kubectl signs in through the ``runai`` command: a researcher works in their own project and in no other.

Real API servers check the tokens against the tenant's issuer, which they reach at the host's end of their veth pair.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from ssl import create_default_context
from typing import Any

import pytest
import yaml

from local.files import ROOT
from local.kube.binaries import ensure
from tests.fixtures_stack import RunningStack

pytestmark = pytest.mark.stack
OWN, OTHER = "vision", "language"
PATIENCE_S = 90
"""Rules travel to the cluster, and an API server reads a changed configuration within a minute."""


@dataclass(frozen=True)
class Person:
    """Somebody with the ``runai`` command and a kubeconfig of their own."""

    stack: RunningStack
    home: Path
    email: str
    id: str

    def environment(self) -> dict[str, str]:
        ours = {"RUNAI_CLI_CONFIG_PATH": str(self.home / "runai"), "KUBECONFIG": str(self.home / "kubeconfig")}
        return {**os.environ, **ours, "PYTHONPATH": str(ROOT)}

    def runai(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "cli", *words]
        return subprocess.run(argv, env=self.environment(), capture_output=True, text=True, timeout=60, check=False)

    def kubectl(self, *words: str) -> subprocess.CompletedProcess[str]:
        program = str(ensure(lambda _: None, ("kubectl",))["kubectl"])
        env = self.environment()
        return subprocess.run([program, *words], env=env, capture_output=True, text=True, timeout=60, check=False)

    def may(self, verb: str, project: str) -> bool:
        return self.kubectl("auth", "can-i", verb, "pods", "-n", f"runai-{project}").stdout.strip() == "yes"

    def wait_until_may(self, verb: str, project: str, wanted: bool = True) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.may(verb, project) is not wanted:
            assert time.monotonic() < deadline, self.kubectl("get", "pods", "-n", f"runai-{project}").stderr
            time.sleep(0.5)


def hired(stack: RunningStack, home: Path, tenant: int = 0) -> Person:
    """A person without any role, signed in to the command."""
    email, password = f"{uuid.uuid4().hex[:8]}@people.example", secrets.token_urlsafe(16)
    facts = stack.facts["tenants"][tenant]
    with stack.rest(tenant) as rest:
        made = rest.post("/users", {"email": email, "password": password}).json()
    person = Person(stack, home, email, str(made["id"]))
    person.runai("config", "set", "--cp-url", facts["api"])
    done = person.runai("login", "user", "-u", email, "-p", made.get("tempPassword") or password)
    assert done.returncode == 0, done.stderr
    return person


def give(stack: RunningStack, subject: str, project: str, kind: str = "user", tenant: int = 0) -> int:
    with stack.rest(tenant) as rest:
        row = next(item for item in rest.get("/org-unit/projects")["projects"] if item["name"] == project)
        body = {
            "subjectId": subject, "subjectType": kind, "roleId": 3, "scopeId": str(row["id"]), "scopeType": "project",
        }  # fmt: skip
        return int(rest.post("/authorization/access-rules", body).json()["id"])


def enter(person: Person, cluster: dict[str, Any]) -> None:
    """``runai kubeconfig set`` with what an administrator tells people of a cluster: address and CA."""
    admin = yaml.safe_load(Path(cluster["kubeconfig"]).read_text())["clusters"][0]["cluster"]
    authority = Path(cluster["kubeconfig"]).parent / "pki" / "ca.crt"
    done = person.runai(
        "kubeconfig", "set", "--cluster-id", cluster["uuid"], "--server", admin["server"],
        "--certificate-authority", str(authority),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture
def researcher(stack: RunningStack, tmp_path: Path) -> Person:
    person = hired(stack, tmp_path)
    give(stack, person.email, OWN)
    enter(person, stack.facts["clusters"][0])
    person.wait_until_may("list", OWN)
    return person


def test_a_researcher_works_in_their_own_project_alone(researcher: Person) -> None:
    own = researcher.kubectl("get", "pods", "-n", f"runai-{OWN}")
    other = researcher.kubectl("get", "pods", "-n", f"runai-{OTHER}")
    assert own.returncode == 0, own.stderr
    assert other.returncode != 0
    assert f'User "{researcher.email}" cannot list resource "pods"' in other.stderr
    assert not researcher.may("create", OWN), "pods come of workloads"
    assert researcher.may("delete", OWN)
    assert not researcher.may("delete", "kube-system")


def test_who_is_taken_out_is_out(researcher: Person) -> None:
    with researcher.stack.rest() as rest:
        rules = rest.get("/authorization/access-rules", filterBy=f"subjectId=={researcher.email}")["accessRules"]
        rest.delete(f"/authorization/access-rules/{rules[0]['id']}")
    researcher.wait_until_may("list", OWN, wanted=False)


def test_a_group_is_the_same_group_in_the_cluster(stack: RunningStack, tmp_path: Path) -> None:
    person = hired(stack, tmp_path)
    name = f"people {uuid.uuid4().hex[:6]}"
    with stack.rest() as rest:
        rest.post("/groups", {"name": name, "members": [person.email]})
    give(stack, name, OTHER, kind="group")
    enter(person, stack.facts["clusters"][0])
    person.wait_until_may("list", OTHER)
    assert not person.may("list", OWN)


def test_another_tenants_person_is_nobody_here(stack: RunningStack, tmp_path: Path) -> None:
    """The project has the same name there, and the token is a good one: for another issuer and cluster."""
    person = hired(stack, tmp_path, tenant=1)
    give(stack, person.email, OWN, tenant=1)
    theirs, ours = (
        next(item for item in stack.facts["clusters"] if item["tenant"] == stack.facts["tenants"][number]["tenant"])
        for number in (1, 0)
    )
    enter(person, theirs)
    person.wait_until_may("list", OWN)
    admin = yaml.safe_load(Path(ours["kubeconfig"]).read_text())["clusters"][0]["cluster"]
    document = yaml.safe_load((tmp_path / "kubeconfig").read_text())
    document["clusters"][0]["cluster"] = admin
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(document))
    refused = person.kubectl("get", "pods", "-n", f"runai-{OWN}")
    assert refused.returncode != 0
    assert "Unauthorized" in refused.stderr or "must be logged in" in refused.stderr, refused.stderr


def test_the_issuer_answers_in_the_words_of_openid(stack: RunningStack) -> None:
    with stack.rest() as rest:
        cluster = stack.facts["clusters"][0]["uuid"]
        [trusted] = rest.get(f"/kubernetes/clusters/{cluster}/authentication")["jwt"]
    issuer = trusted["issuer"]["url"]
    trust = create_default_context(cafile=stack.facts["link_ca"])
    with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", context=trust) as answer:
        told = json.load(answer)
    assert told["issuer"] == issuer
    with urllib.request.urlopen(told["jwks_uri"], context=trust) as answer:
        keys = json.load(answer)["keys"]
    assert keys and all(key["use"] == "sig" and "d" not in key for key in keys)
