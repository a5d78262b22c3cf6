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
from typing import Final

from robojam.controls import Settings
from robojam.jam.events import Counters
from robojam.jam.protocols import Plan, Proposal
from robojam.touch import clip

#: Longest phrase that is planned, in seconds of the model.
PHRASE: Final = 5.0
#: Seconds of silence after which an answer is planned: half of the threshold, within these.
#: The touches of a slide come every 0.02 s, and most landings within the longer one.
_REST: Final = (0.05, 0.25)
#: Least time to the next event in which a step is made, in seconds: a step may take half.
ROOM: Final = 0.002
#: Shortest and longest lead, in seconds.
_LEAD: Final = (0.3, 2.0)
#: Seconds after a plan that came to nothing until the next one with a lead.
_RETRY: Final = 1.0


class Planning:
    """The plan that is being made, if there is one, and when the next may begin.

    Times are seconds of the machine's clock.
    """

    def __init__(self, counts: Counters) -> None:
        self._counts = counts
        self.plan: Plan | None = None
        #: Whether the plan is finished.
        self.finished = False
        #: Seconds that all candidates of the plan share; 0: it is for a turn to come.
        self.lead = 0.0
        #: Whether a recording says that the coming turn is planned.
        self.recorded = False
        self._began = self._not_before = -math.inf
        self._next_lead = _LEAD[0]

    def begin(self, plan: Plan, now: float, lead: float = 0.0) -> None:
        """Begin a plan, in the place of any before it."""
        self.drop()
        self.plan, self.lead, self._began = plan, lead, now

    def shift(self, seconds: float) -> None:
        """Add a pause of the machine's clock to all times."""
        self._began += seconds
        self._not_before += seconds

    def drop(self) -> None:
        """Give up the plan: what it starts from has changed, or the player has come back."""
        self.plan, self.finished, self.recorded = None, False, False

    def miss(self, now: float) -> None:
        """Give up a plan that is not finished in time; the next lead is longer."""
        self._counts.plans_late += 1
        self._next_lead = min(2 * self._next_lead, _LEAD[1])
        self.put_off(now)
        self.drop()

    def lose(self, now: float) -> None:
        """Give up a plan that the machine has no time for."""
        self._counts.plans_dropped += 1
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
            self._next_lead = clip(2 * (now - self._began), *_LEAD)
        return self.finished

    def finish(self) -> list[list[Proposal]]:
        """Make all steps that are left."""
        plan = self.plan
        assert plan is not None
        while not plan.step():
            pass
        return plan.touches()

    def is_late(self, now: float) -> bool:
        """Return whether the lead of the plan is over."""
        return self.plan is not None and 0 < self.lead <= now - self._began

    def answer_at(self, silent_since: float, settings: Settings) -> float:
        """Return when an answer to a silence is to be planned."""
        at = silent_since + clip(settings.threshold / 2, *_REST)
        return max(at, self._not_before)

    def lead_at(self, now: float, left: float, settings: Settings) -> tuple[float, float]:
        """Return when a plan with a lead is to begin (infinity: never), and its lead.

        left is the time that is left of the turn (s). A phrase that is not much longer than
        the lead is not planned.
        """
        lead = self._next_lead
        if min(left, PHRASE * settings.timescale) < 2 * lead:
            return math.inf, lead
        return max(now, self._not_before), lead
