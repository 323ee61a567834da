"""The post office between control plane and agents: owed commands and documents go down, state and results come up.

Only this room reads its tables; the rooms above use ``link.services``. ``link.asgi`` is the door agents knock at.
"""
