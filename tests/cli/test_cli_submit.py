"""From flags to the body of the call: pure tables."""

import pytest

from cli.errors import BadUsage
from cli.submit import quote, seconds, training_body


def body(name="a", words=(), **flags):
    return training_body(name, {"image": "img"} | flags, words, "7", "c1")


@pytest.mark.parametrize(
    ("flags", "words", "spec"),
    [
        ({}, (), {"image": "img"}),
        ({}, ("--epochs", "3"), {"image": "img", "args": "--epochs 3"}),
        (
            {"command": True},
            ("sh", "-c", "echo hi; exit 3"),
            {"image": "img", "command": "sh", "args": "-c 'echo hi; exit 3'"},
        ),
        ({"gpu_devices_request": 2}, (), {"image": "img", "compute": {"gpuDevicesRequest": 2}}),
        (
            {"gpu_portion_request": 0.5},
            (),
            {
                "image": "img",
                "compute": {"gpuPortionRequest": 0.5, "gpuRequestType": "portion", "gpuDevicesRequest": 1},
            },
        ),
        ({"environment": ("A=b=c",)}, (), {"image": "img", "environmentVariables": [{"name": "A", "value": "b=c"}]}),
        ({"node_pools": ("a,b", "c")}, (), {"image": "img", "nodePools": ["a", "b", "c"]}),
        ({"preemptible": False}, (), {"image": "img", "preemptibility": "non-preemptible"}),
        ({"runs": 4, "parallelism": 2}, (), {"image": "img", "completions": 4, "parallelism": 2}),
    ],
)
def test_flags_become_the_fields_of_the_contract(flags, words, spec):
    assert body(words=words, **flags)["spec"] == spec


def test_a_prefix_asks_the_server_to_finish_the_name():
    made = training_body(None, {"image": "i", "name_prefix": "run"}, (), "7", "c1")
    assert (made["name"], made["useGivenNameAsPrefix"]) == ("run", True)


@pytest.mark.parametrize(
    ("name", "flags", "words"),
    [
        (None, {}, ()),
        ("a", {"name_prefix": "b"}, ()),
        ("a", {"command": True}, ()),
        ("a", {"gpu_portion_request": 0.5, "gpu_memory_request": "1G"}, ()),
        ("a", {"environment": ("NOEQUALS",)}, ()),
    ],
)
def test_flags_that_do_not_go_together_are_refused_with_status_2(name, flags, words):
    with pytest.raises(BadUsage) as caught:
        body(name=name, words=words, **flags)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "total"), [("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172800), ("0", 0)]
)
def test_durations_are_read(text, total):
    assert seconds(text) == total


@pytest.mark.parametrize("text", ["", "m", "5x", "1h30", "-3", "1.5h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(BadUsage):
        seconds(text)


@pytest.mark.parametrize(
    ("word", "quoted"), [("a/b:c=1", "a/b:c=1"), ("", "''"), ("a b", "'a b'"), ("it's", "'it'\"'\"'s'")]
)
def test_words_are_quoted_as_a_shell_reads_them(word, quoted):
    assert quote(word) == quoted
