"""Room of a web server: what people look like to each other."""

import colorsys

from robojam.web.protocol import Hello
from robojam.web.room import Room
from robojam.window.view.theme import DARK


def hue(red: float, green: float, blue: float) -> float:
    return colorsys.rgb_to_hls(red, green, blue)[0]


def test_colours_of_players_differ_from_each_other_and_are_none_of_the_machines():
    room = Room(lambda items: None, control=False, clock=lambda: 0.0)
    colours = [room.enter("192.168.0.7", Hello("", view=False)).color for _ in range(60)]
    assert len(set(colours)) == 60
    machine = [hue(*(part / 255 for part in colour)) for colour in DARK.machines]
    for colour in colours:
        own = hue(*(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)))
        assert min(abs((own - other + 0.5) % 1 - 0.5) for other in machine) > 0.08, colour
