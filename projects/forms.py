"""Forms of the projects room: a name, a place, and the quota in every node pool of the cluster."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import Sum

from agent.wire.objects import UNLIMITED, PoolQuota, ResourceQuota
from clusters.models import Cluster, NodePool
from projects.models import Department, Project, Quota
from projects.quotas import MAX_GPU_MILLI, MAX_WEIGHT_MILLI, QuotaError, read_amount
from projects.rule_forms import RuleForm, rule_values
from projects.services import CreateDepartment, CreateProject, UpdateOrgUnit
from projects.versions import Changed


class UnitForm(RuleForm):
    """What departments and projects share. Three fields per node pool: ``quota-ID``, ``limit-ID``, ``weight-ID``.

    ``version`` of an existing one is what the form was drawn from: who saves second hears what differs.
    """

    FIELDS_OF = {**RuleForm.FIELDS_OF, "requestedNamespace": "namespace", "parentId": "department"}
    field_order = ("name", "department", "description", "namespace")

    name = forms.CharField(label="Name", max_length=63)
    description = forms.CharField(label="Description", max_length=250, required=False)
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        *args: Any,
        pools: Iterable[NodePool],
        quotas: Iterable[Quota] = (),
        held: Mapping[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        """``held``: node pool id → milli-GPU, where the unit's own queue does not say what it holds."""
        super().__init__(*args, **kwargs)
        self.pools = list(pools)
        self._kept = {quota.node_pool_id: quota for quota in quotas}
        self._held = {pk: quota.allocated_gpu_milli for pk, quota in self._kept.items()} if held is None else held
        for pool in self.pools:
            for part, label in (("quota", "Quota"), ("limit", "Limit"), ("weight", "Weight")):
                self.fields[f"{part}-{pool.pk}"] = forms.CharField(
                    label=f"{label} in {pool.name}", required=part == "quota", initial=self._initial(part, pool)
                )

    def _initial(self, part: str, pool: NodePool) -> str:
        kept = self._kept.get(pool.pk)
        if kept is None:
            return {"quota": "0", "limit": "", "weight": "1"}[part]
        if part == "limit":
            return "" if kept.gpu_limit_milli == UNLIMITED else _typed(kept.gpu_limit_milli)
        return _typed(kept.gpu_deserved_milli if part == "quota" else kept.gpu_weight)

    @property
    def rows(self) -> Iterator[tuple[NodePool, int | None, list[forms.BoundField]]]:
        """Pool, what is held of it in milli-GPU (None: not there yet), and its three fields, for the template."""
        for pool in self.pools:
            held = self._held.get(pool.pk, 0) if pool.pk in self._kept else None
            yield pool, held, [self[f"{part}-{pool.pk}"] for part in ("quota", "limit", "weight")]

    def clean(self) -> dict[str, Any]:
        super().clean()
        self.quotas = tuple(self._quota(pool) for pool in self.pools)
        return self.cleaned_data

    def _quota(self, pool: NodePool) -> PoolQuota:
        """Read one pool's row; what the form does not show (CPU, memory, rank) stays as it is."""
        gpu = ResourceQuota(
            deserved=self._amount(f"quota-{pool.pk}", MAX_GPU_MILLI, 0),
            limit=self._amount(f"limit-{pool.pk}", MAX_GPU_MILLI, UNLIMITED),
            over_quota_weight=self._amount(f"weight-{pool.pk}", MAX_WEIGHT_MILLI, 1000),
        )
        kept = self._kept.get(pool.pk)
        if kept is None:
            return PoolQuota(pool.name, gpu=gpu)
        cpu = ResourceQuota(kept.cpu_deserved_milli, kept.cpu_limit_milli, kept.cpu_weight)
        memory = ResourceQuota(kept.memory_deserved_bytes, kept.memory_limit_bytes, kept.memory_weight)
        return PoolQuota(pool.name, gpu=gpu, cpu=cpu, memory=memory, priority=kept.priority)

    def _amount(self, name: str, maximum: int, empty: int) -> int:
        text = (self.cleaned_data.get(name) or "").strip()
        if not text:
            return empty
        try:
            return read_amount(name, text, scale=1000, maximum=maximum)
        except QuotaError as error:
            self.add_error(name, error.problem.message)
            return empty

    def to_update(self) -> UpdateOrgUnit:
        return UpdateOrgUnit(
            description=self.cleaned_data["description"],
            version=self.cleaned_data["version"],
            quotas=self.quotas,
            **self.rule_values,
        )

    @property
    def rule_values(self) -> dict[str, Any]:
        """As the services name them."""
        return {
            "default_node_pools": self.default_pools,
            "scheduling_rules": self.limits,
            "node_types": self.types,
        }

    def is_second(self, error: Changed, version: int) -> None:
        """Somebody saved first: say what differs. The next save is made from what is stored now."""
        self.add_error(None, error.message)
        for where, both in error.details.items():
            self.add_error(None, f"{where}: {both}")
        self.data = self.data.copy()
        self.data["version"] = str(version)


def _typed(amount: int) -> str:
    """Thousandths as a person types them: 1500 → ``1.5``."""
    return f"{Decimal(amount) / 1000:f}"


class DepartmentForm(UnitForm):
    def to_request(self, cluster: Cluster) -> CreateDepartment:
        data = self.cleaned_data
        return CreateDepartment(
            name=data["name"],
            cluster=cluster,
            description=data["description"],
            quotas=self.quotas,
            **self.rule_values,
        )


class ProjectForm(UnitForm):
    department = forms.ModelChoiceField(label="Department", queryset=Department.objects.none(), empty_label=None)
    namespace = forms.CharField(
        label="Namespace", max_length=63, required=False, help_text="Empty makes runai- and the name."
    )

    def __init__(self, *args: Any, departments: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["department"].queryset = departments  # type: ignore[attr-defined]

    def to_request(self, cluster: Cluster) -> CreateProject:
        data = self.cleaned_data
        return CreateProject(
            name=data["name"],
            cluster=cluster,
            department=data["department"],
            namespace=data["namespace"],
            description=data["description"],
            quotas=self.quotas,
            **self.rule_values,
        )


def edit_form(unit: Department | Project, data: Any) -> UnitForm:
    """The form of an existing unit: its name stays, since queues and a namespace carry it; the rest may change."""
    below = held_below(unit) if isinstance(unit, Department) else None
    form = UnitForm(
        data,
        pools=NodePool.objects.filter(cluster_id=unit.cluster_id).order_by("name"),
        quotas=unit.quotas.all(),
        held=None if below is None else {pool: used for pool, (used, _) in below.items()},
        initial={"name": unit.name, "description": unit.description, "version": unit.version, **rule_values(unit)},
    )
    form.fields["name"].disabled = True
    whose = "queues" if isinstance(unit, Department) else "namespace and the queues"
    form.fields["name"].help_text = f"The name stays: the {whose} carry it."
    return form


def held_below(department: Department) -> dict[int, tuple[int, int]]:
    """Node pool id → milli-GPU that the projects of a department hold and ask for: one query. Its own queues are only
    their parents."""
    rows = Quota.objects.filter(project__department=department).order_by().values_list("node_pool_id")
    sums = rows.annotate(Sum("allocated_gpu_milli", default=0), Sum("requested_gpu_milli", default=0))
    return {pool: (used, asked) for pool, used, asked in sums}
