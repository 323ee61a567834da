"""Verbs of the access room: each one transaction, permission first, audit entry inside."""
