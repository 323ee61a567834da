"""Whether a pool's pass of eviction work can be left out: nothing has changed since one in which nothing could be done.

A pass that places and evicts nobody leaves the working copy as it was. If that is still so, with the same settings, and
no rule looks at the time, the same searches would fail again for the same reasons.
"""

from collections.abc import Mapping

from agent.domain.queues import UsageShare
from agent.domain.reasons import Reason
from agent.scheduler.context import Context
from agent.scheduler.gangs import JobState
from agent.scheduler.snapshot import Config, Pass


class Stillness:
    """What is known of one pool's last pass. ``notes``: what it found out about jobs."""

    __slots__ = ("_given", "_last", "_over", "_quiet", "notes")

    def __init__(self) -> None:
        self.notes: dict[JobState, Reason] = {}
        self._given: tuple[Config, Mapping[str, UsageShare]] | None = None
        self._last: Pass | None = None
        self._quiet = False
        self._over = False

    def holds(self, config: Config, usage: Mapping[str, UsageShare], *, touched: bool) -> bool:
        """Whether a pass would do nothing. ``touched``: something of the pool changed since the plan before."""
        if touched or (config, usage) != self._given:
            self._quiet = self._over = False
            self._given = (config, usage)
        return self._over

    def begin(self, *, fresh: bool, before: Pass | None) -> None:
        """A pass begins with this plan (``fresh``), or goes on from ``before``, which may not be where we left it."""
        self._quiet = fresh or (self._quiet and before is self._last)

    def end(self, context: Context, *, over: bool, after: Pass | None) -> None:
        """The plan is made. ``over``: its pass is, too; ``after``: where the next plan goes on."""
        self._last = after
        if context.session.steps:
            self._quiet = self._over = False
        elif over and self._quiet and not _timed(context):
            self._over, self.notes = True, dict(context.notes)


def _timed(context: Context) -> bool:
    """Whether time alone can change what a pass finds."""
    config = context.config
    return (
        context.delays
        or context.reclaim_protects
        or bool(config.preempt_min_runtime or config.ageing or config.reservation)
        or any(queue.queue.preempt_min_runtime for queue in context.session.queues.values())
    )
