"""The heartbeat: one module a role, thin shells around the pure rooms.

A role's module offers ``async def run(context: Context) -> None`` that never returns. It reads stores of
``context.informers``, decides with pure code, writes through ``context.kube``, and before each write that only a leader
may do asks ``context.leading``. It tells ``context.health`` how it is. Dying at any line must lose nothing.
"""
