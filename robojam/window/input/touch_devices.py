"""Touch screens as SDL knows them: fingers whose lift was lost."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import pygame
from pygame._sdl2 import touch


class TouchDevices:
    """Touch screens that have been seen, to find fingers that are no longer on them."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def lost(self, pointers: Iterable[Hashable]) -> list[Hashable]:
        """Return the pointers that are fingers, but that SDL no longer reports as down.

        A finger is a pair of device and finger id. A device that was never listed (events from
        another program) is not judged.
        """
        fingers = [p for p in pointers if isinstance(p, tuple)]
        if not fingers:
            return []
        try:
            devices = {touch.get_device(i) for i in range(touch.get_num_devices())}
            down = {
                (device, finger["id"])
                for device in devices
                for i in range(touch.get_num_fingers(device))
                if (finger := touch.get_finger(device, i))
            }
        except pygame.error:  # a device went away meanwhile
            return []
        self._seen |= devices
        return [finger for finger in fingers if finger[0] in self._seen and finger not in down]
