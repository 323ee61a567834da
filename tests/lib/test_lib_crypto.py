"""Sealed values open only where they were sealed."""

import pytest

from runai_cp.lib.crypto import seal, unseal


def test_it_opens_in_its_place():
    assert unseal(seal(b"secret", "a/1"), "a/1") == b"secret"


def test_it_does_not_open_elsewhere():
    with pytest.raises(ValueError, match="does not belong here"):
        unseal(seal(b"secret", "a/1"), "a/2")


def test_a_changed_value_is_noticed():
    sealed = bytearray(seal(b"secret", "a/1"))
    sealed[-1] ^= 1
    with pytest.raises(ValueError, match="does not belong here"):
        unseal(bytes(sealed), "a/1")
