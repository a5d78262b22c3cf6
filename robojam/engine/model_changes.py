"""Changes of the model that plays: another one, another number of voices, faster steps. No I/O.

A model is loaded in a thread of its own, while the jam goes on; of several requests the last
one counts.
"""

import logging
import math
from collections.abc import Callable
from functools import partial

from robojam.engine.live_jam import LiveJam
from robojam.engine.metrics import DropCounter
from robojam.engine.takes import LoadedPlayer

log = logging.getLogger("robojam")

#: Result of loading a model.
Loaded = LoadedPlayer | Exception
#: Function that loads a model by its file's name, for a number of voices, and calls back with
#: the result from a thread of its own.
Load = Callable[[str, int, Callable[[Loaded], None]], None]


class ModelChanges:
    """Requests for another model or number of voices, and players that are offered."""

    def __init__(
        self,
        live: LiveJam,
        load: Load,
        *,
        counts: DropCounter,
        call: Callable[[Callable[[], None]], None],
        next_take: Callable[[str], None],
        on_voices: Callable[[int], None],
    ) -> None:
        """Change the model of a live jam.

        call runs a function on the engine's thread. next_take ends the take, for a reason, and
        prepares the next one; on_voices is called then with the new number of voices.
        """
        self._live, self._load, self._counts, self._call = live, load, counts, call
        self._next_take, self._on_voices = next_take, on_voices
        self._voices_asked = self._voices
        self._model_asked: str | None = None  # until it is used
        self._offered: tuple[LoadedPlayer, Callable[[], None]] | None = None

    @property
    def _voices(self) -> int:
        return self._live.takes.options.voices

    def _start(self, name: str, voices: int, use: Callable[[Loaded], None]) -> None:
        self._load(name, voices, lambda loaded: self._call(lambda: use(loaded)))

    # -- another model ---------------------------------------------------------------------

    def ask_model(self, name: str) -> None:
        """Load a model by its file's name; it plays as soon as it is there."""
        self._model_asked = name
        self._start(name, self._voices, partial(self._use_model, name))

    def _use_model(self, name: str, loaded: Loaded) -> None:
        live = self._live
        if name == self._model_asked:
            self._model_asked = None
        if isinstance(loaded, Exception):
            self._counts.drop("no such model", f"{name!r:.80}: {loaded}")
        elif loaded.player.voices != self._voices:  # their number was set meanwhile
            self._start(name, self._voices, partial(self._use_model, name))
        elif loaded.info.model != live.info.model:
            live.swap(loaded)
        # Of the requests during a load only the last is answered.
        if self._voices_asked != self._voices:
            self._load_voices()

    # -- another number of voices ----------------------------------------------------------

    def ask_voices(self, voices: int) -> None:
        """Load the model for a number of voices; a take with these begins then."""
        self._voices_asked = voices
        if voices != self._voices:
            self._load_voices()

    def _load_voices(self) -> None:
        voices = self._voices_asked
        self._start(self._live.info.model.file, voices, partial(self._use_voices, voices))

    def _use_voices(self, voices: int, loaded: Loaded) -> None:
        live = self._live
        if voices != self._voices_asked or voices == self._voices:
            return  # another number was asked for meanwhile
        if isinstance(loaded, Exception):
            self._counts.drop("no such model", f"{voices} voices: {loaded}")
            self._voices_asked = self._voices
            return
        if loaded.info.model.file != live.info.model.file:  # another was chosen meanwhile
            self._load_voices()
            return
        self._next_take("another number of voices")
        live.load.clear(voices)
        live.use(loaded)
        live.renew()
        self._on_voices(voices)
        live.begin_if_alone()
        if self._model_asked is not None:
            self.ask_model(self._model_asked)

    # -- the same model --------------------------------------------------------------------

    def offer(self, loaded: LoadedPlayer, on_taken: Callable[[], None]) -> None:
        """Offer another player of the same model, from any thread: see `Engine.offer`."""
        self._offered = loaded, on_taken
        self._call(self.take_offer)

    def take_offer(self) -> None:
        """Play with the player that is offered, if no take has begun and the model is its."""
        live = self._live
        if self._offered is None or live.takes.begun:
            return
        (loaded, on_taken), self._offered = self._offered, None
        plays_same = loaded.info.model == live.info.model
        if plays_same and loaded.player.voices == self._voices:
            live.use(loaded)
            live.renew()
            on_taken()
            log.info("the model is stepped faster from now on: %s", loaded.info.build)

    def reload(self) -> None:
        """Load the model again, as the device that plays it is lost."""
        self._start(self._live.info.model.file, self._voices, self._move)

    def _move(self, loaded: Loaded) -> None:
        live = self._live
        live.retry_at = math.inf
        if isinstance(loaded, Exception) or loaded.info.model != live.info.model:
            log.error("the model could not be loaded again; the machine is silent: %s", loaded)
            return
        live.move(loaded)
