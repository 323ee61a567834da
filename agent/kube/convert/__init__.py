"""Manifests → ``agent.domain`` values. Pure; equal inputs give equal values, and equal constraints the same object.

What a manifest says wrongly becomes a ``Reason`` beside the value (``Invalid`` with field, given, allowed), never an
exception: one bad object must not stop the others.
"""
