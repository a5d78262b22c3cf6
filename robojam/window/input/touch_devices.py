"""Touch screens as SDL knows them: fingers whose lift was lost."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from contextlib import suppress

import pygame
from pygame._sdl2 import touch


class TouchDevices:
    """Fingers that SDL has listed, to find those that are no longer on their touch screen."""

    def __init__(self) -> None:
        self._seen: set[Hashable] = set()

    def see(self, pointers: Iterable[Hashable]) -> set[Hashable]:
        """Remember which pointers SDL lists as down; return all that it lists.

        A finger is a pair of device and finger id.
        """
        down: set[Hashable] = set()
        for number in range(touch.get_num_devices()):
            with suppress(pygame.error):  # the device has gone away meanwhile
                device = touch.get_device(number)
                for index in range(touch.get_num_fingers(device)):
                    if finger := touch.get_finger(device, index):
                        down.add((device, finger["id"]))
        self._seen |= down.intersection(pointers)
        return down

    def lost(self, pointers: Collection[Hashable]) -> set[Hashable]:
        """Return the pointers that SDL listed as down before, and lists no more."""
        self._seen.intersection_update(pointers)
        return self._seen - self.see(pointers)
