"""``python -m local run``: the examples end as their comments say, with real containers on the real node."""

import pytest

from tests.fixtures_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.node, pytest.mark.usefixtures("real_node"), pytest.mark.timeout(600)]


def test_hello_shows_the_status_changing_and_the_log_of_a_real_container(stack: RunningStack) -> None:
    done = stack.local("run", "examples/hello.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MARKER hello is done" in done.stdout
    statuses = [line.split("] ", 1)[1].split(":")[0] for line in done.stdout.splitlines() if line.startswith("[")]
    assert statuses[-1] == "Completed"
    assert "Running" in statuses


def test_a_failing_example_ends_non_zero_with_the_cause(stack: RunningStack) -> None:
    done = stack.local("run", "examples/fails.yaml")
    assert done.returncode == 1
    assert "Failed" in done.stderr
    assert "3" in done.stderr


def test_a_gang_starts_all_four(stack: RunningStack) -> None:
    done = stack.local("run", "examples/gang.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_fraction_completes(stack: RunningStack) -> None:
    done = stack.local("run", "examples/gpu-fraction.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_cannot_run_says_why_with_numbers(stack: RunningStack) -> None:
    done = stack.local("run", "examples/cannot-run.yaml", "--timeout", "8")
    assert done.returncode == 1
    assert "64" in done.stdout
