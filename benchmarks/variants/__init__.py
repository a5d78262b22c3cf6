"""The named experiments of benchmarks/models.py: what each changes, and nothing else.

A variant names what it changes in robojam.training.trainer: settings, the event, the class
of the model or of the windows, or (`within`) functions that are replaced while it runs. None
is a switch in robojam itself: what proves worth having is written into robojam, and its
variant then takes it out again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from robojam.model.event import EventSpec
from robojam.model.mdrnn import EventModel
from robojam.training.batches import WindowSampler
from robojam.training.trainer import SIZES
from variants import cells, copies, inside
from variants.plain import (
    Reference,
    constant_velocity,
    impsy,
    last_touch,
    robojam_2018,
    robojam_head,
)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One experiment over robojam.training.trainer, or (reference) a model trained otherwise.

    share is of the passes that are asked for: what is dear gets fewer, and is compared
    with the baseline of as many. members: how many are trained, each from a seed of its own,
    and their densities averaged, or (taught) distilled into one more. xydt: whether the
    density without the phase is wanted too; fixed: that there is no chance in it, and one
    seed is enough.
    """

    idea: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    event: Callable[[EventSpec], EventSpec] = lambda event: event
    model: type[EventModel] = EventModel
    windows: type[WindowSampler] = WindowSampler
    within: Callable[[], AbstractContextManager[object]] = nullcontext
    reference: Reference | None = None
    share: float = 1.0
    members: int = 1
    taught: bool = False
    xydt: bool = False
    fixed: bool = False

    @property
    def plays(self) -> bool:
        """Whether robojam could play its file as it is."""
        return (
            self.reference is None
            and self.model is EventModel
            and self.within is nullcontext
            and (self.members == 1 or self.taught)
        )

    @property
    def about(self) -> str:
        """The idea, in a line."""
        return self.idea.partition("\n")[0]


def _set(idea: str, **settings: Any) -> Variant:
    return Variant(idea=idea, settings=settings)


#: All of them by name; the baseline is robojam.training.trainer as it stands.
VARIANTS: dict[str, Variant] = {
    "baseline": Variant(idea="`robojam train` as it stands", xydt=True),
    # What others have
    "last touch": Variant(idea=last_touch.__doc__ or "", reference=last_touch, fixed=True),
    "constant velocity": Variant(
        idea=constant_velocity.__doc__ or "", reference=constant_velocity, fixed=True
    ),
    "impsy": Variant(idea=impsy.__doc__ or "", reference=impsy, share=2.0),
    "robojam 2018": Variant(idea=robojam_2018.__doc__ or "", reference=robojam_2018),
    "robojam's head": Variant(
        idea=robojam_head.__doc__ or "", reference=robojam_head, share=2.0
    ),
    # Motion
    "no motion carried on": Variant(
        idea="means of a move are set off by no share of the last velocities",
        within=inside.nothing_carried,
    ),
    "one velocity carried on": Variant(
        idea="by a share of the last velocity alone: not turned, and not the one before",
        within=inside.one_carried,
    ),
    "more of the stroke": Variant(
        idea="the input tells more of the stroke: time, way and offset since the landing, "
        "curvature, two velocities more",
        within=inside.more_of_the_stroke,
    ),
    "a component that stays": Variant(
        idea="one component of a move has its mean where the finger was",
        within=inside.one_stays,
    ),
    # The density
    "points": Variant(
        idea="the density at a point of a pixel or millisecond, not the chance of the whole",
        within=inside.points,
    ),
    "no lattices": _set(
        "places have a density of their own, no screen's lattice", lattices=False
    ),
    **{
        f"{n} components": _set(f"{n} components of a mixture for 16", components=n)
        for n in (1, 5, 24)
    },
    "dt before phase": Variant(
        idea="the order is dt, phase, place", event=inside.dt_before_phase
    ),
    "place before dt": Variant(
        idea="the order is phase, place, dt: no velocity can be carried on then",
        event=inside.place_before_dt,
    ),
    # The data
    "no mirror images": _set("performances as they are", mirror=False),
    "mirror images to the end": _set("the last steps too are of mirror images", upright=0.0),
    "stretched in time": Variant(
        idea="copies as fast and as slow as 1.15 times", windows=copies.Stretched
    ),
    "scaled": Variant(
        idea="copies of 0.8 to 1.25 times the size, where they stay on the surface",
        windows=copies.Scaled,
    ),
    "points dropped": Variant(
        idea="copies in which one move of eight is left out, its dt added to the next",
        windows=copies.Dropped,
    ),
    "preceded": Variant(
        idea="half of the openings come after another performance's end, and a pause",
        windows=copies.Preceded,
    ),
    # The network
    "s": _set("2 × 64, 8 components", **SIZES["s"]),
    "l": Variant(idea="2 × 512, 24 components", settings=SIZES["l"], share=0.5),
    "one layer": _set("one layer for two", layers=1),
    "three layers": Variant(idea="three layers for two", settings={"layers": 3}, share=0.5),
    "gru": Variant(idea="GRUs for LSTMs (Cho et al. 2014)", model=cells.GRUs),
    "linear recurrence": Variant(
        idea="gates that see the input alone (minGRU, Feng et al. 2024), and an output gate",
        model=cells.Linears,
    ),
    "layer norm": Variant(
        idea="layer norm in the LSTMs (Ba et al. 2016)", model=cells.Normed, share=0.5
    ),
    "state from zero": Variant(idea="the initial state is 0, not learnt", model=cells.FromZero),
    "two together": Variant(
        idea="the densities of two models averaged: what might be distilled into one", members=2
    ),
    "two distilled": Variant(
        idea="two models teach a third: half of what it learns is what they would draw",
        members=2,
        taught=True,
    ),
    # The training
    "no dropout": _set("nothing of what layers tell each other is dropped", dropout=0.0),
    "twice the dropout": _set("a fifth of it is dropped, for a tenth", dropout=0.2),
    "recurrent dropout": Variant(
        idea="a tenth of the recurrent weights is dropped (Merity et al. 2017)",
        model=cells.Dropping,
    ),
    "no average": _set("the last weights, not their average", average=0.0),
    **{
        f"window {n}": _set(f"windows of {n} touches for 128", window=n) for n in (64, 256, 512)
    },
    "half the batch": _set("batches of 640 touches for 1,280", batch=640),
    "twice the batch": _set("batches of 2,560 touches for 1,280", batch=2560),
    "a third of the rate": _set("Adam at 1e-3 for 3e-3", rate=1e-3),
    "twice the rate": _set("Adam at 6e-3 for 3e-3", rate=6e-3),
    "float32": Variant(
        idea="float32 throughout, for bfloat16 in the recurrent layers",
        settings={"bfloat16": False},
        share=0.5,
    ),
}
