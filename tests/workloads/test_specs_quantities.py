"""Amounts as people write them, to integers and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.specs import quantities as q


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1.5", 2),
        ("1k", 1000),
        ("1Ki", 1024),
        ("1.5Gi", 1610612736),
        ("2e3", 2000),
        ("+4M", 4_000_000),
        ("1500m", 2),
    ],
)
def test_memory_is_bytes_rounded_up(text: str, size: int) -> None:
    assert q.memory_bytes(text) == size


@pytest.mark.parametrize(("text", "mib"), [("1Mi", 1), ("1", 1), ("1048577", 2), ("4G", 3815), ("4Gi", 4096)])
def test_memory_of_a_device_is_whole_mebibytes(text: str, mib: int) -> None:
    assert q.gpu_memory_mib(text) == mib


@pytest.mark.parametrize(("text", "milli"), [("0.5", 500), ("500m", 500), ("2", 2000), ("1e1", 10_000), (" 1 ", 1000)])
def test_cores_are_thousandths(text: str, milli: int) -> None:
    assert q.cpu_milli(text) == milli


@pytest.mark.parametrize(
    "text", ["", "-1", "1GB", "1 Gi", "0x10", "1..5", "٣", "1e999", "nan", "inf", "9" * 30, "1Gi\n1"]
)
def test_nonsense_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError):
        q.memory_bytes(text)


@given(st.integers(1, q.MAX_MEMORY_BYTES))
def test_bytes_survive_being_written(size: int) -> None:
    assert q.memory_bytes(q.memory_text(size)) == size


@given(st.integers(1, q.MAX_CPU_MILLI))
def test_cores_survive_being_written(milli: int) -> None:
    assert q.cpu_milli(q.decimal_text(milli)) == milli


@given(st.text(max_size=12))
def test_any_text_is_an_amount_or_a_value_error(text: str) -> None:
    for read in (q.gpu_devices, q.gpu_portion_milli, q.gpu_memory_mib, q.cpu_milli, q.memory_bytes):
        try:
            assert read(text) >= 0
        except ValueError as error:
            assert str(error)
