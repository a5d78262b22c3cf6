"""Assembly of an engine that plays a recording."""

from robojam.app.assemble import assemble_replay
from robojam.controls import SETTINGS
from robojam.sessions.session import EndEvent, Header, ModelRef, Session

SOUND = {
    "instrument": "human=keys,ai=drums",
    "range": "48-72,human2=35-51",
    "scale": "dorian",
    "volume": 0.25,
}


def test_replay_starts_with_the_recorded_settings_of_the_sound():
    assert set(SOUND) == {name for name, row in SETTINGS.items() if row.sound}
    header = Header(
        started="2026-11-20T10:30:00+00:00",
        model=ModelRef("a.safetensors", "0a"),
        device="cpu",
        build="a build",
        seed=1,
        options=dict(SOUND),
    )
    given = {"osc_in": "127.0.0.1:0", "sound": False, "volume": 0.5}
    assembly = assemble_replay(Session(header, (EndEvent(1.0, "closed"),)), given)
    try:
        settings = assembly.options.settings()
        assert {name: getattr(settings, name) for name in SOUND} == SOUND | {"volume": 0.5}
    finally:
        assembly.engine.finish("SIGTERM")
