"""Reasons of workloads that look alike: shared where the answer is the same, and only there."""

from agent.domain.groups import SubGroup
from tests.agent.scheduler.cluster import Cluster


def test_a_gang_without_all_its_pods_does_not_share_the_reason_of_one_that_has_them():
    cluster = Cluster().node("n1", 2).queue("a", 8)
    cluster.job("whole", "a", pods=2, gpus=4)
    cluster.job("halved", "a", pods=2, gpus=4, root=SubGroup("default", 4))
    decided = cluster.plan().plan
    codes = {key: reasons[0].code for key, reasons in decided.reasons.items()}
    assert codes == {"team/whole": "Nodes", "team/halved": "NotReady"}


def test_each_gang_names_its_own_sub_group():
    cluster = Cluster().node("n1", 4).queue("a", 16)
    for name, second in (("first", "workers"), ("second", "servers")):
        tree = SubGroup("root", children=(SubGroup("master", 1), SubGroup(second, 1)))
        cluster.job(name, "a", pods=2, gpus=3, root=tree, subgroups=["master", second])
    decided = cluster.plan().plan
    named = {key: reasons[0].get("subgroup") for key, reasons in decided.reasons.items()}
    assert named == {"team/first": "workers", "team/second": "servers"}


def test_what_waits_knows_how_many_come_before_it():
    """Higher priority first, then older; whoever gets a place is not ahead of anybody any more."""
    cluster = Cluster().node("n1", 1).queue("a", 8).queue("b", 8).job("runs", "a")
    cluster.job("late", "a").job("later", "a").job("urgent", "a", priority=60).job("alone", "b", gpus=4)
    assert cluster.plan().plan.ahead == {"team/late": 1, "team/later": 2}
