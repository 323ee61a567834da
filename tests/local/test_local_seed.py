"""What a new stack is filled with."""

import pytest

from local.seed import plan


def test_the_demo_has_two_projects_and_a_researcher() -> None:
    seed = plan("demo", "acme", simulated_nodes=8)
    assert {project.name: project.gpus for project in seed.projects} == {
        "vision": {"default": 4, "simulated": 16},
        "language": {"default": 4, "simulated": 16},
    }
    assert seed.users == ("researcher@acme.example",)


def test_an_empty_stack_still_has_a_project_to_submit_to() -> None:
    seed = plan("empty", "acme", simulated_nodes=8)
    assert [project.name for project in seed.projects] == ["vision"]
    assert seed.users == ()


@pytest.mark.parametrize("data", ["empty", "demo", "big"])
def test_without_simulated_nodes_nothing_waits_for_their_pool(data: str) -> None:
    seed = plan(data, "acme", simulated_nodes=0)
    assert {pool for project in seed.projects for pool in project.gpus} == {"default"}
    assert {pool for quota in seed.departments.values() for pool in quota} == {"default"}


@pytest.mark.parametrize("data", ["empty", "demo", "big"])
def test_every_project_has_a_department_of_the_seed(data: str) -> None:
    seed = plan(data, "acme", simulated_nodes=8)
    assert {project.department for project in seed.projects} <= set(seed.departments)
