"""Roles: who may do what, and what is said of what is refused."""

import json
import logging
import tomllib

import pytest
from support.engine import DrivenEngine
from support.players import ScriptedPlayer, land

from robojam.config.roles import Role, RoleRules
from robojam.controls import CONTROLS, Kind, RefusedError
from robojam.engine.roles import Roles
from robojam.touch import Phase
from robojam.wire import native

HERE, PHONE, WATCHER = ("127.0.0.1", 4000), ("10.0.0.7", 9000), ("10.0.9.9", 9000)
HOST, PLAYER = Role.HOST, Role.PLAYER
RULES = RoleRules(
    others=Role.WATCHER,
    address={
        "10.0.0.0/16": PLAYER,
        "10.0.9.0/24": Role.WATCHER,
        "10.0.9.1": HOST,
        "fe80::1%eth0": HOST,
    },
    tuio={"table": PLAYER, "10.0.9.9/glass": PLAYER},
    midi={"linnstrument": PLAYER},
)


def is_here(host):
    return host == "127.0.0.1"


@pytest.fixture
def driven(tmp_path):
    made = []

    def make(**options) -> DrivenEngine:
        player = ScriptedPlayer(land(0.1))
        made.append(DrivenEngine(tmp_path / str(len(made)), player, **options))
        return made[-1]

    yield make
    for engine in made:
        engine.engine.finish("the end of the test")


@pytest.mark.parametrize(
    ("source", "role"),
    [
        ("127.0.0.1", HOST),
        ("10.0.0.7", PLAYER),
        ("10.0.9.9", Role.WATCHER),
        ("10.0.9.1", HOST),  # the smallest network decides
        ("192.168.1.1", Role.WATCHER),
        ("192.168.7.3", HOST),  # --control
        ("fd00::1", Role.WATCHER),
        ("fe80::1%eth0", HOST),
        ("web:127.0.0.1/3", HOST),  # a pad in a browser, by its address
        ("web:10.0.0.7/3", PLAYER),
        ("web:10.0.9.9/3", Role.WATCHER),
        ("web:fe80::1%eth0/3", HOST),
        ("fe80::1%eth1", Role.WATCHER),
        ("tuio:10.0.0.7/anything", PLAYER),
        ("tuio:10.0.9.9", Role.WATCHER),
        ("tuio:10.0.9.9/table", PLAYER),
        ("tuio:10.0.9.9/table (2)", PLAYER),
        ("tuio:10.0.9.9/glass", PLAYER),
        ("tuio:10.0.9.8/glass", Role.WATCHER),
        ("tuio:10.0.9.8/10.0.9.9/glass", Role.WATCHER),  # its name is that of another
        ("tuio:127.0.0.1/glass", HOST),
        ("midi:LinnStrument", PLAYER),
        ("midi:Foot", HOST),
    ],
)
def test_role_of_a_source_is_that_of_the_rules(source, role):
    roles = Roles(["192.168.7.0/255.255.255.0"], RULES, is_here=is_here)
    assert [roles.of(source, now) for now in (0.0, 5.0, 60.0)] == [role] * 3


def test_of_two_rules_for_one_network_the_lower_role_decides():
    address = {"10.0.0.7": HOST, "10.0.0.7/32": Role.WATCHER}
    roles = Roles(rules=RoleRules(address=address), is_here=is_here)
    assert roles.of("10.0.0.7", 0.0) is Role.WATCHER


def test_advice_gives_no_more_than_is_said_whatever_the_source_s_name():
    roles = Roles(rules=RoleRules(others=Role.WATCHER), is_here=is_here)
    with pytest.raises(RefusedError) as caught:
        roles.check(TOUCHES[0], 'tuio:10.0.0.7/a" = "host" #\n', None, 0.0)
    line = caught.value.about.partition("play: ")[2].partition(" under")[0]
    assert tomllib.loads(line) == {'10.0.0.7/a" = "host" #\n': "player"}


def test_role_is_looked_up_again_when_an_address_is_no_longer_this_machine_s():
    own = {"192.168.1.5"}
    roles = Roles(is_here=lambda host: host in own)
    assert roles.of("192.168.1.5", 0.0) is HOST
    own.clear()
    assert [roles.of("192.168.1.5", t) for t in (5.0, 9.9, 10.0)] == [HOST, HOST, PLAYER]


def test_roles_that_are_remembered_are_bounded():
    roles = Roles(is_here=is_here)
    for i in range(10_000):
        roles.of(f"10.0.{i // 256}.{i % 256}", 0.0)
    assert roles._known.cache_info().currsize <= 256


TOUCHES = (
    native.Finger(Phase.DOWN, 1, 0.5, 0.5),
    native.PhaselessTouch(0.5, 0.5),
    native.Alive((1,)),
)
QUESTIONS = (native.StatusRequest(), native.Subscribe(9000, True))
OF_HOSTS = (
    native.PreviewTouch(),
    native.SetupRequest(),
    native.SetupChange("osc-out", "[]"),
    native.LearnPad(),
    *(
        native.Control(name, "ai=keys" if row.kind is Kind.TEXT else 1)
        for name, row in CONTROLS.items()
    ),
)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.WATCHER, QUESTIONS),
        (PLAYER, (*QUESTIONS, *TOUCHES)),
        (HOST, (*QUESTIONS, *TOUCHES, *OF_HOSTS)),
    ],
)
def test_each_role_may_send_what_it_is_for_and_no_more(role, allowed):
    roles = Roles(rules=RoleRules(others=role), is_here=is_here)
    for request in (*QUESTIONS, *TOUCHES, *OF_HOSTS):
        if request in allowed:
            assert roles.check(request, "10.0.0.7", "human", 0.0) is role
        else:
            with pytest.raises(RefusedError, match="not allowed"):
                roles.check(request, "10.0.0.7", "human", 0.0)
    refused = len((*QUESTIONS, *TOUCHES, *OF_HOSTS)) - len(allowed)
    assert sum(roles.status().values()) == refused


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("instrument", "drums", True),
        ("instrument", "human2=drums", True),
        ("instrument", " Human2 = drums", True),
        ("instrument", "human3=drums", False),
        ("instrument", "human=drums", False),  # all humans
        ("instrument", "human57=drums", False),
        ("instrument", "human2=drums,ai=keys", False),
        ("instrument", "drums,keys", False),
        ("range", "24-96", True),
        ("range", "human2=24-96", True),
        ("range", "ai=24-96", False),
        ("scale", "major", False),
        ("volume", 0.0, False),
    ],
)
def test_player_sets_its_own_instrument_and_range_alone(driven, name, value, allowed):
    d = driven(mode="listen")
    for sender in (HERE, PHONE):  # human, human2
        d.send("/touch", "ff", 0.5, 0.5, sender=sender)
    before = d.status()[name]
    d.send(f"/robojam/{name}", "f" if name == "volume" else "s", value, sender=PHONE)
    status = d.status()
    if allowed:
        own = {"instrument": "human2=drums", "range": "human2=24-96"}[name]
        assert own in status[name]
        assert status[name].replace(f"{own},", "").replace(f",{own}", "") == before
    else:
        assert status[name] == before
        assert status["dropped"] == {"not allowed": 1}
        assert status["refused"] == {"player": 1, "watcher": 0}


@pytest.mark.parametrize("name", [n for n in CONTROLS if n not in ("instrument", "range")])
def test_controls_from_another_machine_are_refused_and_from_this_one_and_control_are_not(
    driven, name
):
    d = driven(mode="solo", control=["10.0.0.0/24"])
    row = CONTROLS[name]
    value = (row.words or ("A",))[-1] if row.kind is Kind.TEXT else 1
    tags = row.kind.tag
    args = [value] if tags else []
    d.send(f"/robojam/{name}", tags, *args, sender=("10.0.1.7", 9))
    assert d.status()["dropped"] == {"not allowed": 1}
    for sender in (HERE, PHONE):
        d.wait(0.1)
        d.send(f"/robojam/{name}", tags, *args, sender=sender)
    assert d.status()["dropped"].get("not allowed") == 1


def test_impsy_and_touchosc_learning_go_by_the_same_rule(driven):
    d = driven(mode="listen")
    d.send("/impsy/mode", "s", "battle", sender=PHONE)
    d.send("/impsy/reset", sender=PHONE)
    d.send("/robojam/learn", sender=PHONE)
    d.send("/robojam/audition", "i", 1, sender=PHONE)
    d.send("/robojam/setup", sender=PHONE)
    status = d.status()
    assert (status["mode"], status["learning"]) == ("listen", False)
    assert status["refused"] == {"player": 5, "watcher": 0}
    d.send("/robojam/learn", sender=HERE)
    d.send("/1/xy", "ff", 0.25, 0.5, sender=PHONE)  # the pad is usually another machine
    assert d.status()["pads"] == ["/1/xy=x,-y"]


def test_watcher_is_not_heard_and_reaches_no_pad(driven):
    d = driven(mode="listen", role_rules=RULES, touchosc=("learn", "/1/xy"))
    d.send("/touch", "ff", 0.5, 0.5, sender=WATCHER)
    d.send("/robojam/instrument", "s", "drums", sender=WATCHER)
    for x in (0.2, 200.0, 300.0):
        d.send("/1/xy", "ff", x, 0.5, sender=WATCHER)  # would widen the pad's range
        d.send("/2/xy", "ff", x, 0.5, sender=WATCHER)  # would be learnt
    d.request("status", "", sender=WATCHER)
    assert [m.name for m in d.take() if m.to == WATCHER] == ["cookie", "status"]
    status = d.status()
    assert (status["heard"], status["players"], status["learning"]) == (0, [], True)
    assert status["pads"] == ["/1/xy=x,-y"]
    assert status["refused"] == {"player": 0, "watcher": 2}


def test_status_tells_who_asks_its_role_and_other_machines_no_path_and_no_address(driven):
    d = driven(mode="listen", control=["10.0.0.7"])
    d.send("/touch", "ff", 0.5, 0.5, sender=("10.0.1.1", 9))
    answers = {}
    for sender in (HERE, PHONE, WATCHER):
        if sender == HERE:
            d.send("/robojam/status", sender=sender)
        else:
            d.request("status", "", sender=sender)
        (packet,) = (m.args[0] for m in d.take() if m.name == "status")
        answers[sender] = json.loads(packet)
        for private in (str(d.folder.parent), "10.0.1.1"):
            assert (private in packet) is (sender == HERE)
    asked = [(answer["role"], answer["address"]) for answer in answers.values()]
    assert asked == [("host", HERE[0]), ("host", PHONE[0]), ("player", WATCHER[0])]


def test_refusal_is_logged_once_for_a_host_with_what_to_type(driven, caplog):
    caplog.set_level(logging.INFO)
    d = driven(mode="listen", role_rules=RULES)
    for name in ("panic", "reset", "answer"):
        d.send(f"/robojam/{name}", sender=PHONE)
    d.send("/touch", "ff", 0.5, 0.5, sender=WATCHER)
    first, second = (r.getMessage() for r in caplog.records if "not allowed" in r.getMessage())
    assert "dropped from 10.0.0.7:9000: not allowed (panic is for hosts alone" in first
    assert "--control 10.0.0.7)" in first
    assert '"10.0.9.9" = "player" under [address]' in second


def test_control_host_names_only_players_who_are_there(driven):
    d = driven(mode="listen", control=["10.0.0.7"], voices=2)
    d.send("/touch", "ff", 0.5, 0.5, sender=HERE)
    d.send("/touch", "ff", 0.5, 0.5, sender=("10.0.1.1", 9))  # human2
    for value in ("human57=keys", "human57=keys,human2=drums", "ai3=keys"):
        d.send("/robojam/instrument", "s", value, sender=PHONE)
    d.send("/robojam/range", "s", "human9=36-60", sender=PHONE)
    assert d.status()["dropped"] == {"unknown player": 4}
    for value in ("human2=drums", "human=chirp", "human1=keys", "ai2=strings"):
        d.send("/robojam/instrument", "s", value, sender=PHONE)
    d.send("/robojam/instrument", "s", "human8=keys", sender=HERE)  # who will come
    d.send("/robojam/instrument", "s", "human8=drums", sender=PHONE)  # is named already
    expected = "human=chirp,human1=keys,human2=drums,human8=drums,ai=keys,ai2=strings"
    assert d.status()["instrument"] == expected


def test_settings_of_players_are_limited_in_rate_and_the_recording_with_them(driven):
    d = driven(mode="listen")
    d.send("/touch", "ff", 0.5, 0.5, sender=PHONE)
    for i in range(15_000):
        sender = (f"10.0.{i % 50}.7", 9)
        d.send("/robojam/instrument", "s", ("keys", "drums")[i // 50 % 2], sender=sender)
        if i % 1500 == 0:
            d.wait(0.1)
    status = d.status()
    assert status["dropped"]["too fast"] > 14_000
    changes = [e for e in d.end().events if "instrument" in getattr(e, "set", {})]
    assert len(changes) < 200


def test_thousands_of_invented_names_are_refused_and_the_status_is_answered(driven):
    d = driven(mode="listen")
    for sender in (HERE, PHONE):
        for begin in (2, 4002):
            names = ",".join(f"human{n}=keys" for n in range(begin, begin + 4000))
            d.send("/robojam/instrument", "s", names, sender=sender)
    d.take()
    d.send("/robojam/status", sender=HERE)
    (answer,) = (m for m in d.take() if m.name == "status")
    assert len(answer.args[0]) < 4000


@pytest.mark.parametrize(("pads_control", "source", "request_", "role"), [
    (True, "web:10.0.0.7/3", native.Control("mode", "duet"), HOST),
    (True, "web:10.0.0.7/3", native.Finger(Phase.DOWN, 1), PLAYER),
    (True, "web:10.0.0.7/3", native.SetupChange("web", '"none"'), None),
    (True, "web:10.0.9.9/3", native.Control("mode", "duet"), None),
    (True, "10.0.0.7", native.Control("mode", "duet"), None),
    (False, "web:10.0.0.7/3", native.Control("mode", "duet"), None),
])  # fmt: skip
def test_pads_set_controls_and_nothing_else_where_they_may(
    pads_control, source, request_, role
):
    roles = Roles((), RULES, is_here=is_here, pads_control=pads_control)
    if role is not None:
        assert roles.check(request_, source, None, 0.0) is role
        return
    with pytest.raises(RefusedError, match="not allowed"):
        roles.check(request_, source, None, 0.0)


def test_pad_that_is_refused_is_told_by_its_address_what_to_type():
    roles = Roles((), RULES, is_here=is_here)
    with pytest.raises(RefusedError) as refused:
        roles.check(native.Control("mode", "duet"), "web:10.0.0.7/3", None, 0.0)
    assert "--control 10.0.0.7" in refused.value.about
