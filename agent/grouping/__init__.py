"""Which pods belong together: pods and their owners → pod groups. Pure; the scheduler's shell fetches the owners.

``rules.TABLE`` says per kind of top owner how its pods form groups; a new kind is a new row.
"""
