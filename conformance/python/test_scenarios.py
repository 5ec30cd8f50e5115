"""The scenarios of `scenarios/`, told to the server over HTTP under its virtual clock.

The engine's own tests run the same files. What the v1 REST API has no way to say is left out here: whole scenarios
with a command behind `engine:`, and single checks behind that word.
"""

import pytest
from conftest import Wire
from support.clock import Clock
from support.scenario import Library
from support.server import Server
from support.story import Story

LIBRARY = Library()
PLANS = [plan for plan in map(LIBRARY.plan, LIBRARY.scenarios) if not plan.is_engine_only]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A server of their own: stories are long in virtual time and must not age the workspaces of other tests."""
    server = Server(tmp_path_factory.mktemp("scenarios") / "data", "--clock", "virtual", "--in-memory").start()
    # A workspace may only become single-tasking where the account has one already.
    form = {"FriendlyName": "First", "MultiTaskEnabled": "false"}
    assert Wire(server.url)("POST", "/v1/Workspaces", data=form).status_code == 201
    yield server
    assert server.stop() == 0, server.log()


@pytest.fixture
def stage_wire(stage):
    return Wire(stage.url)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_the_server_does_what_the_scenario_says(plan, stage, stage_wire):
    story = Story(stage_wire, Clock(stage.url), plan)
    try:
        difference = story.tell()
    finally:
        story.close()
    assert not difference, difference
