"""MPI over ssh: keys of one workload, how its pods use them, and a launcher that waits for its workers.

The image brings ``ssh``, ``sshd`` and ``mpirun``; nothing else of it is relied on: host key, accepted key and options
come from here, so that no host is trusted unseen and no password is taken. Port 2222 needs no rights.

Files of a Secret belong to root. ssh refuses a private key of its own user that others may read, and a user who is not
root can read no other: so each private key is there twice, for root alone and for whoever else the image runs as. As
whom it runs is not known here, and the kubelet opens both to a group where the pod has one: so our own commands first
copy the keys to where they are their user's alone.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from pathlib import PurePosixPath
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from agent.operator import names, rendezvous, security
from agent.operator.workload import WorkloadView

Object = dict[str, Any]
PORT = 2222
VOLUME = "ssh-auth"
OWN_VOLUME = "ssh-keys"
OWN = "/run/runai-ssh"
"""Where a pod has private keys of its own user."""
PRIVATE = ("id_ed25519", "ssh_host_ed25519_key")
PUBLIC = ("authorized_keys", "known_hosts", "config")
FOR_ANY = "_any"
"""Ends the name of a private key's copy for users other than root."""
_PRIVATE_MODE, _PUBLIC_MODE = 0o600, 0o644
_ROOTS_HOME = PurePosixPath("/", "root")


def uses_ssh(view: WorkloadView) -> bool:
    return view.gang and view.spec.ssh_auth_mount_path is not None


def first_worker(view: WorkloadView) -> int:
    """Number of the first member that takes work: the launcher takes none where it is another kind of pod."""
    return 1 if view.spec.master is not None or uses_ssh(view) else 0


def secret_name(view: WorkloadView) -> str:
    """No other workload's, and another one where the keys are for another place."""
    own = hashlib.sha256(f"{view.uid} {view.spec.ssh_auth_mount_path}".encode()).hexdigest()[:8]
    return f"{names.bounded(view.name, 50)}-ssh-{own}"


def secret(view: WorkloadView, common: dict[str, str], owner: Object) -> Object | None:
    """The Secret without its keys: ``with_keys`` fills it when it is made. Nobody needs to read it to do without."""
    if not uses_ssh(view):
        return None
    meta = {"name": secret_name(view), "namespace": view.namespace, "labels": common, "ownerReferences": [owner]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": meta,
        "type": "Opaque",
        "immutable": True,
        "stringData": {"config": _client_config(_path(view))},
    }


def with_keys(obj: Object) -> Object:
    """A fresh pair for the people's side and one for the hosts'. Each call gives others."""
    mine, hosts = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    files = {
        "id_ed25519": _private(mine),
        "authorized_keys": f"{_public(mine)}\n",
        "ssh_host_ed25519_key": _private(hosts),
        "known_hosts": f"* {_public(hosts)}\n",
    }
    data = {name: base64.b64encode(text.encode()).decode() for name, text in files.items()}
    return obj | {"data": data}


def _private(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _path(view: WorkloadView) -> str:
    return (view.spec.ssh_auth_mount_path or "").rstrip("/")


def _client_config(path: str) -> str:
    lines = (
        "Host *",
        f"  Port {PORT}",
        "  IdentitiesOnly yes",
        f'  UserKnownHostsFile "{path}/known_hosts"',
        "  StrictHostKeyChecking yes",
        "  BatchMode yes",
        "  ConnectionAttempts 10",
        "  LogLevel ERROR",
        f'  IdentityFile "{OWN}/{PRIVATE[0]}"',
        "Match localuser root",
        f'  IdentityFile "{path}/id_ed25519"',
        "Match localuser !root,*",
        f'  IdentityFile "{path}/id_ed25519{FOR_ANY}"',
    )
    return "\n".join(lines) + "\n"


def volumes(view: WorkloadView) -> list[Object]:
    if not uses_ssh(view):
        return []
    items = [{"key": name, "path": name, "mode": _PRIVATE_MODE} for name in PRIVATE]
    items += [{"key": name, "path": f"{name}{FOR_ANY}", "mode": _PUBLIC_MODE} for name in PRIVATE]
    items += [{"key": name, "path": name, "mode": _PUBLIC_MODE} for name in PUBLIC]
    given = {"secretName": secret_name(view), "defaultMode": _PRIVATE_MODE, "items": items}
    return [
        {"name": VOLUME, "secret": given},
        {"name": OWN_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]


def pod_context(view: WorkloadView) -> Object:
    """The pod's ``securityContext``: no group for its volumes' files where root is known to call ssh. The kubelet would
    let that group read root's own keys, which ssh then refuses; root reads the volumes without it."""
    given = view.spec.security
    context = security.pod_context(given)
    user = given.run_as_uid if given is not None else None
    if uses_ssh(view) and (user == 0 or (user is None and PurePosixPath(_path(view)).is_relative_to(_ROOTS_HOME))):
        context.pop("fsGroup", None)
    return context


def mounts(view: WorkloadView) -> list[Object]:
    if not uses_ssh(view):
        return []
    return [
        {"name": VOLUME, "mountPath": _path(view), "readOnly": True},
        {"name": OWN_VOLUME, "mountPath": OWN},
    ]


def environment(view: WorkloadView) -> dict[str, str]:
    """What Open MPI and Hydra call ssh with, whatever the user's own configuration is."""
    if not uses_ssh(view):
        return {}
    options = f"-F {_path(view)}/config"
    return {
        "OMPI_MCA_plm_rsh_agent": "ssh",
        "OMPI_MCA_plm_rsh_args": options,
        "OMPI_MCA_orte_keep_fqdn_hostnames": "true",
        "HYDRA_LAUNCHER": "ssh",
        "HYDRA_LAUNCHER_EXTRA_ARGS": options,
    }


def serves(view: WorkloadView, index: int) -> bool:
    """Whether a pod runs ``sshd``: every worker that has no command of its own. The only command that a workload gives
    is its launcher's."""
    if not uses_ssh(view) or index == 0:
        return False
    master = view.spec.master
    launcher_has_own = master is not None and bool(master.command or master.args)
    return not launcher_has_own or not (view.spec.command or view.spec.args)


def _own_keys(view: WorkloadView) -> str:
    """Shell words that copy the private keys for the user who runs them."""
    path = shlex.quote(_path(view))
    copy = f'cat {path}/"$key" 2>/dev/null >{OWN}/"$key" || cat {path}/"$key"{FOR_ANY} >{OWN}/"$key"'
    return f"(umask 077; for key in {' '.join(PRIVATE)}; do {copy}; done)"


def serve_command(view: WorkloadView) -> list[str]:
    path = shlex.quote(_path(view))
    options = (
        "PidFile=none",
        "StrictModes=no",  # the folder of a Secret is open to all to look at, its keys are not
        "UsePAM=no",
        "PasswordAuthentication=no",
        "KbdInteractiveAuthentication=no",
        "PermitRootLogin=prohibit-password",
    )
    flags = " ".join(f"-o {option}" for option in options)
    files = f"-o HostKey={OWN}/{PRIVATE[1]} -o AuthorizedKeysFile={path}/authorized_keys"
    serve = f"mkdir -p /run/sshd 2>/dev/null; exec /usr/sbin/sshd -D -e -p {PORT} {flags} {files}"
    return ["/bin/sh", "-c", f"{_own_keys(view)}; {serve}"]


def init_containers(view: WorkloadView, index: int) -> list[Object]:
    """In the launcher: its keys, then wait until every worker lets us in, and say why one does not, once for each new
    answer. With the image that ``mpirun`` will use."""
    if not uses_ssh(view) or index != 0:
        return []
    hosts = [
        rendezvous.member_address(view.name, view.namespace, number)
        for number in range(first_worker(view), view.completions)
    ]
    ask = f"ssh -F {shlex.quote(_path(view))}/config -o ConnectionAttempts=1 -o ConnectTimeout=2"
    tell = '[ "$why" = "$told" ] || { echo "$host: $why" >&2; told=$why; }'
    wait_for = f'until why=$({ask} "$host" true 2>&1); do {tell}; sleep 0.5; done'
    script = f"{_own_keys(view)}; for host in {' '.join(hosts)}; do {wait_for}; done"
    master = view.spec.master
    container: Object = {
        "name": "wait-for-workers",
        "image": (master.image if master is not None else None) or view.spec.image,
        "command": ["/bin/sh", "-c", script],
        "volumeMounts": mounts(view),
    }
    return [container | ({"imagePullPolicy": view.spec.image_pull_policy} if view.spec.image_pull_policy else {})]
