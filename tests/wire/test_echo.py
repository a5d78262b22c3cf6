"""Filter of the engine's own messages that come back."""

import pytest

from robojam.wire.echo import EchoFilter


@pytest.mark.parametrize(("repeats", "repeated"), [(False, False), (True, True)])
def test_message_received_within_the_time_limit_is_an_echo_once_or_every_time(
    repeats, repeated
):
    echoes = EchoFilter(seconds=1.0, capacity=9, repeats=repeats)
    assert not echoes.returned("a", 10.0)
    echoes.sent("a", 10.0)
    assert echoes.returned("a", 10.5)
    assert echoes.returned("a", 10.6) is repeated
    assert not echoes.returned("b", 10.6)
    echoes.sent("a", 11.0)
    assert not echoes.returned("a", 12.5)


def test_filter_at_its_capacity_forgets_the_oldest_key():
    echoes = EchoFilter(seconds=1.0, capacity=3, repeats=True)
    for key in (1, 2, 3, 1, 4):
        echoes.sent(key, 0.0)
    assert [key for key in range(5) if echoes.returned(key, 0.0)] == [1, 3, 4]
