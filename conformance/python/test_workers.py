"""Workers and WorkerChannels, updates apart. Reference: REST contract, sections 6.3 and 6.5."""

import json

import pytest
from support.errors import refused
from support.server import ACCOUNT_SID
from support.world import version_of


@pytest.fixture
def team(world):
    """Three Workers; two speak French, one of them is away."""
    world.everything = world.queue("Everything")
    world.french = world.queue("French", "languages HAS 'fr'")
    world.flow = world.workflow("Flow", {"default_filter": {"queue": world.everything.sid}})
    world.ada = world.worker("Ada", {"languages": ["en", "fr"], "level": 5})
    world.bob = world.worker("Bob", {"languages": ["fr"], "level": 2}, activity="Offline")
    world.cid = world.worker("Cid", {"languages": ["en"], "level": 8})
    return world


def names(workers) -> list[str]:
    return [worker.friendly_name for worker in workers]


def test_a_worker_needs_only_a_name(world):
    created = world.context.workers.create_with_http_info(friendly_name="Ada")
    assert created.status_code == 201
    assert version_of(created.headers) == 0
    worker = created.data
    assert worker.attributes == "{}"
    assert worker.activity_name == "Offline"
    assert worker.available is False
    assert worker.date_status_changed == worker.date_created == worker.date_updated
    assert worker.account_sid == ACCOUNT_SID
    assert world.event_types(worker_sid=worker.sid) == ["worker.created"]


def test_attributes_come_back_as_posted_in_lists_too(world):
    text = '{ "skills" : [ "a" , {"deep":null} ],\n "ü":1.50 }'
    worker = world.context.workers.create(friendly_name="Ada", attributes=text)
    assert worker.attributes == text
    assert world.context.workers(worker.sid).fetch().attributes == text
    assert world.context.workers.list()[0].attributes == text


def test_empty_attributes_on_creation_are_absent(world):
    assert world.context.workers.create(friendly_name="Ada", attributes="").attributes == "{}"


def test_workers_are_listed_by_each_filter(team):
    workers = team.context.workers
    assert names(workers.list()) == ["Ada", "Bob", "Cid"]
    assert names(workers.list(friendly_name="aDa")) == ["Ada"]
    assert names(workers.list(activity_name="offline")) == ["Bob"]
    assert names(workers.list(activity_sid=team.activities["Available"])) == ["Ada", "Cid"]
    assert names(workers.list(available="true")) == ["Ada", "Cid"]
    assert names(workers.list(available="false")) == ["Bob"]
    assert names(workers.list(target_workers_expression="level >= 5")) == ["Ada", "Cid"]
    assert names(workers.list(target_workers_expression=f"sid IN ['{team.bob.sid}', '{team.cid.sid}']")) == [
        "Bob",
        "Cid",
    ]
    assert names(workers.list(target_workers_expression="friendly_name == 'Cid'")) == ["Cid"]
    assert names(workers.list(target_workers_expression="activity_name == 'Offline'")) == ["Bob"]
    assert names(workers.list(task_queue_sid=team.french.sid)) == ["Ada", "Bob"]
    assert names(workers.list(task_queue_name="french")) == ["Ada", "Bob"]


def test_filters_combine_and_empty_ones_are_absent(team):
    workers = team.context.workers
    assert names(workers.list(task_queue_name="French", available="true")) == ["Ada"]
    assert names(workers.list(friendly_name="", activity_name="", available="true")) == ["Ada", "Cid"]
    assert names(workers.list(friendly_name="Ada", activity_name="Offline")) == []


def test_unknown_names_and_sids_in_filters_give_empty_lists(team):
    workers = team.context.workers
    assert workers.list(activity_name="Nowhere") == []
    assert workers.list(activity_sid="WA" + "0" * 32) == []
    assert workers.list(task_queue_sid="WQ" + "0" * 32) == []
    assert workers.list(task_queue_name="Nowhere") == []


def test_workers_can_be_ordered(office):
    office.clock.advance(5)
    office.move(office.bob, "Break")
    office.clock.advance(5)
    office.move(office.ann, "Break")
    workers = office.context.workers
    assert names(workers.list(ordering="DateStatusChanged:asc")) == ["Cid", "Bob", "Ann"]
    assert names(workers.list(ordering="datestatuschanged:DESC")) == ["Ann", "Bob", "Cid"]
    office.clock.advance(5)
    workers(office.cid.sid).update(attributes="{}")
    assert names(workers.list(ordering="DateUpdated:desc"))[0] == "Cid"


def test_a_worker_in_an_available_activity_cannot_be_deleted(team):
    with refused(400, 20001, f"Cannot delete worker {team.ada.sid} because its activity Available is available"):
        team.context.workers(team.ada.sid).delete()
    assert team.context.workers(team.bob.sid).delete() is True
    with refused(404, 20404):
        team.context.workers(team.bob.sid).delete()


def test_a_worker_with_active_reservations_cannot_be_deleted(team):
    for task in (team.task({}, task_channel="chat"), team.task({}, task_channel="voice")):
        if team.offered_to(task) != "Ada":
            team.answer(task, "rejected")
        team.accept(task)
    busy = team.context.workers(team.ada.sid)
    count = len(busy.reservations.list(reservation_status="accepted"))
    assert count > 0
    team.move(team.ada, "Offline")
    with refused(400, 20001, f"Cannot delete worker {team.ada.sid} because it has {count} active reservations"):
        busy.delete()


def test_a_name_is_free_again_after_deletion(team):
    team.context.workers(team.bob.sid).delete()
    assert team.worker("BOB").friendly_name == "BOB"


def test_links_of_a_worker(team):
    links = team.ada.links
    assert links["channels"] == links["worker_channels"]
    assert links["statistics"].endswith("/Workers/Statistics")
    assert links["worker_statistics"].endswith(f"/Workers/{team.ada.sid}/Statistics")


# WorkerChannels


def test_a_worker_has_one_channel_per_task_channel(team):
    channels = team.context.workers(team.ada.sid).worker_channels.list()
    assert [c.task_channel_unique_name for c in channels] == ["default", "voice", "sms", "chat", "video"]
    for channel in channels:
        assert (channel.configured_capacity, channel.available, channel.assigned_tasks) == (1, True, 0)
        assert channel.available_capacity_percentage == 100
        assert channel.worker_sid == team.ada.sid
    assert len({c.sid for c in channels}) == 5


def test_a_new_task_channel_reaches_every_worker(team):
    fax = team.context.task_channels.create(friendly_name="Fax", unique_name="fax")
    for worker in (team.ada, team.bob, team.cid):
        channel = team.context.workers(worker.sid).worker_channels("fax").fetch()
        assert (channel.task_channel_sid, channel.configured_capacity, channel.available) == (fax.sid, 1, True)
    fax.delete()
    with refused(404, 20404):
        team.context.workers(team.ada.sid).worker_channels("fax").fetch()


def test_a_worker_channel_is_addressed_three_ways(team):
    channels = team.context.workers(team.ada.sid).worker_channels
    by_name = channels("chat").fetch()
    assert channels(by_name.sid).fetch().sid == by_name.sid
    assert channels(by_name.task_channel_sid).fetch().sid == by_name.sid
    assert by_name.url.endswith("/Channels/" + by_name.sid)
    with refused(404, 20404):
        channels("fax").fetch()


def test_capacity_and_availability_publish_one_event_each(team):
    channel = team.context.workers(team.ada.sid).worker_channels("chat")
    before = len(team.events())
    changed = channel.update(capacity=3, available=False)
    assert (changed.configured_capacity, changed.available) == (3, False)
    assert team.event_types()[before:] == ["worker.capacity.update", "worker.channel.availability.update"]
    channel.update(capacity=3, available=False)
    channel.update()
    assert len(team.events()) == before + 2


@pytest.mark.parametrize("bad", [-1, 51, "three", "1.5"])
def test_a_capacity_outside_0_to_50_is_refused(team, bad):
    with refused(400, 20001):
        team.context.workers(team.ada.sid).worker_channels("chat").update(capacity=bad)


def test_the_counters_of_a_worker_channel(team):
    team.move(team.cid, "Offline")
    channel = team.context.workers(team.ada.sid).worker_channels("chat")
    channel.update(capacity=3)
    first, second = team.task({}, task_channel="chat"), team.task({}, task_channel="chat")
    state = channel.fetch()
    assert (state.assigned_tasks, state.available_capacity_percentage) == (0, 33)
    team.accept(first)
    state = channel.fetch()
    assert (state.assigned_tasks, state.available_capacity_percentage) == (1, 33)
    team.context.tasks(first.sid).update(assignment_status="wrapping")
    state = channel.fetch()
    assert (state.assigned_tasks, state.available_capacity_percentage) == (0, 33)
    team.complete(first)
    assert channel.fetch().available_capacity_percentage == 66
    assert channel.update(capacity=0).available_capacity_percentage == 0
    assert team.offered_to(second) == "Ada", "lowering the capacity cancels nothing"


def test_a_channel_that_is_unavailable_gets_nothing(team):
    team.move(team.cid, "Offline")
    channel = team.context.workers(team.ada.sid).worker_channels("chat")
    channel.update(available=False)
    task = team.task({}, task_channel="chat")
    assert team.reservations(task) == []
    channel.update(available=True)
    assert team.offered_to(task) == "Ada"


def test_attributes_may_hold_every_json_type(world):
    document = {
        "text": "x",
        "number": 1.5,
        "yes": True,
        "none": None,
        "list": [1, "a", [2]],
        "object": {"a": {"b": {}}},
    }
    worker = world.context.workers.create(friendly_name="Ada", attributes=json.dumps(document))
    assert json.loads(worker.attributes) == document
