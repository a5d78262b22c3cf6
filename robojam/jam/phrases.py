"""Planning of the machine's next phrase: when a plan is begun, stepped and given up. Pure.

A phrase is planned in the silence before an answer (robojam.player.planner), a short step
each time the loop is idle. Where the turn has begun without it, or goes on after a phrase, the
ordinary draw plays, and a plan with a lead chooses among its continuations: the lead is what
is played until the plan is finished.

How far a plan gets depends on the machine that it is made on. So the jam announces what
became of it, as controls that the recording holds: `planning`, a plan with a lead begins
now; `planned`, what is played from now on is the plan's. A regenerated jam makes the plan
when it reads them, from the same state.
"""

import math
from typing import Any, ClassVar, Final

from robojam.jam.events import Counters
from robojam.jam.numbers import Past, Seconds
from robojam.jam.protocols import Plan, Proposal
from robojam.touch import clip

#: Longest phrase that is planned, in seconds of the model.
PHRASE: Final = 5.0
#: Seconds of silence after which an answer is planned: twice what a plan takes before the
#: threshold, but within these, and not after half of it. The touches of a slide come every
#: 0.02 s, and a quarter of the landings within 0.1 s.
_REST: Final = (0.05, 0.25)
#: Least time to the next event in which a step is made, in seconds: a step may take half.
ROOM: Final = 0.002
#: Shortest and longest lead, in seconds; else it is twice what a plan takes.
_LEAD: Final = (0.3, 2.0)
#: Seconds that a plan is expected to take before one has been made.
_TAKES: Final = 0.1
#: Seconds after a plan that came to nothing until the next one; for leads that are over too
#: soon, twice as long each time, up to the longest.
_RETRY, _LONGEST_RETRY = 1.0, 30.0


class Planning:
    """The plan that is being made, if there is one, and when the next may begin.

    Times are seconds of the machine's clock.
    """

    #: Without the plan, which is made again: see the beginning of the module.
    STATE: ClassVar[dict[str, Any]] = {
        "_not_before": Past,
        "_no_lead_before": Past,
        "_takes": Seconds,
        "_retry": Seconds,
    }

    def __init__(self, counts: Counters) -> None:
        self.counts = counts
        self.plan: Plan | None = None
        #: Whether the plan is finished.
        self.finished = False
        #: Seconds that all candidates of the plan share; 0: it is for a turn to come.
        self.lead = 0.0
        #: Whether a recording says that the coming turn is planned.
        self.recorded = False
        self._began = self._not_before = self._no_lead_before = -math.inf
        self._takes, self._retry = _TAKES, _RETRY

    def begin(self, plan: Plan, now: float, lead: float = 0.0) -> None:
        """Begin a plan, in the place of any before it."""
        self.drop()
        self.plan, self.lead, self._began = plan, lead, now

    def shift(self, seconds: float) -> None:
        """Add a pause of the machine's clock to all times."""
        self._began += seconds
        self._not_before += seconds
        self._no_lead_before += seconds

    def restored(self) -> None:
        """Begin without a plan."""
        self.drop()

    def drop(self) -> None:
        """Give up the plan: what it starts from has changed, or the player has come back."""
        self.plan, self.finished, self.recorded = None, False, False

    def miss(self, now: float) -> None:
        """Give up a plan that is of no use any more: it was not finished in time."""
        self.counts.plans_late += 1
        self._takes = min(max(self._takes, now - self._began), _LEAD[1])
        if self.lead:
            self._no_lead_before = now + self._retry
            self._retry = min(2 * self._retry, _LONGEST_RETRY)
        self.drop()

    def succeed(self) -> None:
        """Note that the plan is played."""
        self.counts.planned += 1
        self._retry = _RETRY
        self.drop()

    def lose(self, now: float) -> None:
        """Give up a plan that the machine has no time for."""
        self.counts.plans_dropped += 1
        self.put_off(now)
        self.drop()

    def put_off(self, now: float) -> None:
        """Begin no plan for a while: the last one came to nothing."""
        self._not_before = now + _RETRY

    def step(self, now: float) -> bool:
        """Make one step of the plan; return whether it has just been finished.

        A plan that fails is given up. Raises what it raises.
        """
        plan = self.plan
        assert plan is not None
        self.plan = None
        self.put_off(now)
        self.finished = plan.step()
        self.plan, self._not_before = plan, -math.inf
        if self.finished:
            self._takes = now - self._began
        return self.finished

    def phrases(self) -> list[list[Proposal]]:
        """Return the phrases of the plan, after all steps that are left."""
        plan = self.plan
        assert plan is not None
        while not plan.step():
            pass
        return plan.touches()

    def is_late(self, now: float) -> bool:
        """Return whether the lead of the plan is over."""
        return self.plan is not None and 0 < self.lead <= now - self._began

    def answer_at(self, silent_since: float, threshold: float) -> float:
        """Return when the answer to a silence is to be planned: threshold is its length (s)."""
        shortest, longest = _REST
        latest = max(shortest, min(threshold / 2, longest))
        at = silent_since + clip(threshold - 2 * self._takes, shortest, latest)
        return max(at, self._not_before)

    def lead_at(self, now: float, left: float) -> tuple[float, float]:
        """Return when a plan with a lead is to begin (infinity: never), and its lead.

        left is the time that the phrase may take (s): it must be much longer than the lead.
        """
        lead = clip(2 * self._takes, *_LEAD)
        if left < 2 * lead:
            return math.inf, lead
        return max(now, self._not_before, self._no_lead_before), lead
