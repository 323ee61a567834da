"""MPI over ssh: keys made once for a workload, mounted with the right modes, a launcher that waits for its workers."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path, PurePosixPath

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from agent.kube.resources import POD, SECRET
from agent.operator import ssh
from agent.operator.workload import problems
from agent.wire.codec import from_dict
from agent.wire.objects import WorkloadSpec
from tests.agent.fake_kube import FakeKube
from tests.agent.operator.operating import namespace, operating, project, workload

HOME = str(PurePosixPath("/", "root", ".ssh"))
PATH = "/keys/.ssh"
MPI = {"type": "distributed", "framework": "MPI", "workers": 3, "sshAuthMountPath": PATH}


async def made(**spec) -> FakeKube:
    kube = FakeKube(project(), namespace("runai-vision"), workload(**{**MPI, **spec}))
    async with operating(kube) as operator:
        await operator.settle()
    return kube


def pod(kube: FakeKube, index: int) -> dict:
    return next(one for one in kube.all(POD) if one["metadata"]["name"] == f"hello-{index}")


async def test_each_member_has_the_keys_for_root_alone_and_for_whoever_else_the_image_runs_as():
    kube = await made(command=["mpirun"], args=["train"])
    (secret,) = kube.all(SECRET)
    assert set(secret["data"]) == {"id_ed25519", "authorized_keys", "ssh_host_ed25519_key", "known_hosts"}
    for index in range(3):
        spec = pod(kube, index)["spec"]
        volume = next(one["secret"] for one in spec["volumes"] if one["name"] == ssh.VOLUME)
        modes = {item["path"]: oct(item["mode"]) for item in volume["items"]}
        assert volume["secretName"] == secret["metadata"]["name"]
        assert modes["id_ed25519"] == modes["ssh_host_ed25519_key"] == "0o600"
        assert modes["id_ed25519_any"] == modes["ssh_host_ed25519_key_any"] == "0o644"
        assert {"mountPath": PATH, "name": ssh.VOLUME, "readOnly": True} in spec["containers"][0]["volumeMounts"]


async def test_keys_are_made_once_and_never_read():
    kube = FakeKube(project(), namespace("runai-vision"), workload(**MPI))
    for _ in range(2):
        async with operating(kube) as operator:
            await operator.settle()
            await kube.delete(POD, "hello-1", "runai-vision")
            await operator.settle()
    assert len(kube.all(SECRET)) == 1
    assert [method for method, kind in kube.calls if kind == "Secret"] == ["create"]


async def test_keys_of_two_workloads_differ():
    kube = FakeKube(project(), namespace("runai-vision"), workload(**MPI), workload("other", **MPI))
    async with operating(kube) as operator:
        await operator.settle()
    first, second = kube.all(SECRET)
    assert first["data"]["id_ed25519"] != second["data"]["id_ed25519"]
    assert first["data"]["authorized_keys"] != second["data"]["authorized_keys"]


@pytest.mark.parametrize(
    ("spec", "launcher", "worker"),
    [
        ({"command": ["mpirun"]}, ["mpirun"], "sshd"),
        ({"master": {"command": ["mpirun"]}}, ["mpirun"], "sshd"),
        ({"master": {"command": ["mpirun"]}, "command": ["/my/sshd-wrapper"]}, ["mpirun"], "/my/sshd-wrapper"),
        ({"master": {"image": "launcher:1"}, "command": ["mpirun"]}, ["mpirun"], "sshd"),
    ],
)
async def test_who_runs_what(spec, launcher, worker):
    kube = await made(**spec)
    assert pod(kube, 0)["spec"]["containers"][0]["command"] == launcher
    for index in (1, 2):
        assert worker in " ".join(pod(kube, index)["spec"]["containers"][0]["command"])


async def test_the_launcher_waits_for_all_workers_and_lists_them_alone():
    kube = await made(command=["mpirun"], master={"image": "launcher:1"})
    (wait,) = pod(kube, 0)["spec"]["initContainers"]
    assert wait["image"] == "launcher:1"
    hosts = [f"hello-{index}.hello.runai-vision.svc" for index in (1, 2)]
    assert f"for host in {' '.join(hosts)};" in wait["command"][2]
    assert "initContainers" not in pod(kube, 1)["spec"]
    file = next(obj for obj in kube.objects.values() if obj["kind"] == "ConfigMap")["data"]["hostfile"]
    assert [line.split()[0] for line in file.splitlines()] == hosts


@pytest.mark.parametrize(
    ("path", "user", "group"),
    [(HOME, None, None), (PATH, 0, None), (PATH, None, 7), (PATH, 1000, 7), (HOME, 1000, 7)],
)
async def test_no_group_may_read_the_keys_where_root_calls_ssh(path, user, group):
    """The kubelet opens the files of a Secret to ``fsGroup``; ssh refuses a key of its own user's that others read."""
    given = {"runAsGid": 7} | ({"runAsUid": user} if user is not None else {})
    spec = pod(await made(sshAuthMountPath=path, security=given), 1)["spec"]
    own = spec["securityContext"] if user is not None else spec["containers"][0]["securityContext"]
    assert (own["runAsGroup"], spec.get("securityContext", {}).get("fsGroup")) == (7, group)


@pytest.mark.skipif(
    not shutil.which("ssh"), reason="only OpenSSH can say how OpenSSH reads the file, and nothing else here needs it"
)
async def test_ssh_takes_the_key_that_its_user_may_read(tmp_path: Path):
    (secret,) = (await made()).all(SECRET)
    (tmp_path / "config").write_text(secret["stringData"]["config"])
    asked = subprocess.run(["ssh", "-G", "-F", tmp_path / "config", "w"], capture_output=True, text=True, check=True)
    keys = [line.split()[1] for line in asked.stdout.splitlines() if line.startswith("identityfile ")]
    own = f"{ssh.OWN}/id_ed25519"
    assert keys == [own, f"{PATH}/id_ed25519" if os.getuid() == 0 else f"{PATH}/id_ed25519_any"]


def here(script: str, folder: Path, suffix: str = "") -> str:
    """The script with its folders in ``folder``; the private keys that can be read are those of ``suffix``."""
    keys, own = folder / "keys", folder / "own"
    keys.mkdir()
    own.mkdir()
    for name in ssh.PRIVATE:
        (keys / f"{name}{suffix}").write_text(f"the key {name}")
    return script.replace(PATH, str(keys)).replace(ssh.OWN, str(own))


@pytest.mark.parametrize("suffix", ["", ssh.FOR_ANY])
async def test_first_a_pod_gets_the_keys_as_its_user_s_alone(tmp_path: Path, suffix: str):
    """Root reads the first of each two, everybody else the second."""
    worker = pod(await made(command=["mpirun"]), 1)["spec"]["containers"][0]
    script = here(worker["command"][2].partition("; mkdir")[0], tmp_path, suffix)
    subprocess.run(["/bin/sh", "-c", script], check=True, capture_output=True)
    for name in ssh.PRIVATE:
        key = tmp_path / "own" / name
        assert (key.read_text(), oct(key.stat().st_mode & 0o777)) == (f"the key {name}", "0o600")


async def test_the_waiting_launcher_says_what_ssh_says_once_for_each_answer(tmp_path: Path):
    (wait,) = pod(await made(command=["mpirun"]), 0)["spec"]["initContainers"]
    script = here(wait["command"][2], tmp_path)
    fake = tmp_path / "ssh"
    fake.write_text('#!/bin/sh\necho x >>"$0.n"; [ "$(wc -l <"$0.n")" -gt 3 ] || { echo "bad key" >&2; exit 255; }\n')
    fake.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ran = subprocess.run(["/bin/sh", "-c", script], env=env, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "hello-1.hello.runai-vision.svc: bad key\n")


async def test_without_ssh_nothing_of_it_is_made():
    kube = await made(sshAuthMountPath=None)
    assert kube.all(SECRET) == []
    assert ssh.VOLUME not in str(kube.all(POD))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"framework": "PyTorch"}, "only an MPI workload"),
        ({"workers": 1}, "at least 2 workers"),
        ({"sshAuthMountPath": "ssh"}, "absolute path"),
        ({"sshAuthMountPath": "/"}, "absolute path"),
    ],
)
def test_what_makes_no_sense_names_the_field(change, says):
    (problem,) = problems(from_dict(WorkloadSpec, {"image": "a:1", **MPI, **change}))
    assert problem.startswith("spec.sshAuthMountPath: ") and says in problem


def test_each_public_key_is_that_of_its_private_key():
    data = ssh.with_keys({})["data"]
    for name, mine in (("id_ed25519", "authorized_keys"), ("ssh_host_ed25519_key", "known_hosts")):
        key = load_ssh_private_key(base64.b64decode(data[name]), None).public_key()
        public = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        assert public in base64.b64decode(data[mine])
