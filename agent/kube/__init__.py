"""The agent's hands on Kubernetes. All I/O with the API server goes through here.

How to use it::

    from agent.kube.client import Kube, KubeClient          # Kube: Protocol for signatures; KubeClient: the adapter
    from agent.kube.resources import POD, WORKLOAD, resource_of
    from agent.kube.watch import Informers
    from agent.kube.errors import Conflict, NotFound, Unreachable

    async with KubeClient.connect() as kube:                # $KUBECONFIG, in-cluster, ~/.kube/config
        pod = await kube.get(POD, "name", "namespace")      # plain dicts, without managedFields
        await kube.apply(obj, manager="runai-operator")     # server-side apply; repeat freely
        await kube.patch(WORKLOAD, "w", "ns", body={"status": {...}}, subresource="status")
        await kube.delete(POD, "name", "namespace", uid=pod["metadata"]["uid"])

        informers = Informers(kube)                         # one watch a kind and process, shared by the roles
        workloads = informers.of(WORKLOAD)                  # starts on first use
        workloads.store.on_change(lambda change: queue.add(change.key))
        await informers.synced()
        workloads.store.get("w", "ns"); workloads.store.by_uid(uid); list(workloads.store)

A role receives ``Informers`` (which carries ``kube``) from ``agent.main``; see ``agent.loops`` for the shape of a role.
Objects in a store are shared: never change them in place. ``optional=True`` for kinds that may not be installed.

Errors (``errors``): ``NotFound``, ``AlreadyExists`` ⊂ ``Conflict``, ``Gone``, ``Forbidden``, ``Invalid``,
``TooManyRequests(retry_after)``, ``ServerFailed``, ``Unreachable``, all ``KubeError``. Short failures are
retried inside for about ten seconds where repeating is safe.

Pure neighbours: ``convert`` (manifests → ``agent.domain``), ``quantity`` (Kubernetes quantities → integers), ``mirror``
(the scheduler's picture of the cluster, kept up to date change by change).
"""
