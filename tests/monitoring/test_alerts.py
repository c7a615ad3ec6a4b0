import pytest

from hilum.domain.errors import InputError
from tests.monitoring.worlds import World, draw_film


def test_an_alert_is_taken_once_and_keeps_who_took_it(world: World):
    world.play([draw_film(world.random, refused=True) for _ in range(60)])
    (opened,) = world.look().opened
    alerts = world.monitor.alerts
    taken = alerts.acknowledge(opened.id, by="ada", at=world.clock())
    assert (taken.acknowledged_by, taken.acknowledged_at) == ("ada", world.clock())
    with pytest.raises(InputError, match="nobody has taken"):
        alerts.acknowledge(opened.id, by="bob", at=world.clock())
    with pytest.raises(InputError, match="no open alert"):
        alerts.acknowledge("unknown", by="ada", at=world.clock())
    (found,) = alerts.find(open_only=True)
    assert found.acknowledged_by == "ada"
    codes = [record.code for record in world.journal.read(limit=999, kinds=["monitor"])]
    assert codes == ["alert-opened", "alert-acknowledged"]


def test_two_workers_open_an_alert_once(world: World):
    from hilum.monitoring.monitor import Monitor

    world.play([draw_film(world.random, refused=True) for _ in range(60)])
    other = Monitor(world.journal)
    first = world.look()
    second = other.look("net_v1.0.0_20260101", world.reference)
    assert (len(first.opened), len(second.opened)) == (1, 0)
    assert len(world.monitor.alerts.find()) == 1
