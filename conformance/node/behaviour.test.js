// Paging, refusals and the life of a Task, as a program that uses the official library sees them.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect } from "./support/client.js";
import { ACCOUNT_SID } from "./support/server.js";
import { newWorld, refused, useServer } from "./support/world.js";

const server = useServer();

/** Runs a test in a workspace that is removed afterwards. */
const inWorld = (body) => async () => {
  const world = await newWorld(server.client);
  try {
    await body(world);
  } finally {
    await world.context.remove();
  }
};

const missing = (prefix) => prefix + "0".repeat(32);

describe("paging through 120 workers", () => {
  const COUNT = 120;
  const names = Array.from({ length: COUNT }, (_, index) => `n${String(index).padStart(3, "0")}`);
  const crowd = (body) =>
    inWorld(async (world) => {
      for (const name of names) await world.worker(name, "Offline");
      await body(world.context.workers);
    });
  const namesOf = (workers) => workers.map((worker) => worker.friendlyName);

  test("list, limits, each and pages agree on order and count", crowd(async (workers) => {
    assert.deepEqual(namesOf(await workers.list()), names);
    assert.deepEqual(namesOf(await workers.list({ pageSize: 7 })), names);
    assert.deepEqual(namesOf(await workers.list({ limit: 75, pageSize: 50 })), names.slice(0, 75));
    assert.equal((await workers.list({ limit: 5000 })).length, COUNT);

    const seen = [];
    await new Promise((settle, reject) => {
      workers.each({ pageSize: 33, callback: (worker) => seen.push(worker.friendlyName), done: (error) => (error ? reject(error) : settle()) });
    });
    assert.deepEqual(seen, names);

    const first = await workers.page({ pageSize: 50 });
    const second = await first.nextPage();
    const third = await second.nextPage();
    assert.deepEqual([first, second, third].map((page) => page.instances.length), [50, 50, 20]);
    assert.equal(third.nextPageUrl, undefined);
    assert.equal(first.previousPageUrl, undefined);
    const back = await third.previousPage();
    assert.deepEqual(namesOf(back.instances), names.slice(50, 100));
    assert.deepEqual(namesOf((await back.previousPage()).instances), names.slice(0, 50));
    assert.deepEqual(namesOf((await workers.getPage(second.nextPageUrl)).instances), names.slice(100));
  }));
});

describe("refusals are the library's RestException", () => {
  test("of lists", inWorld(async ({ context }) => {
    await refused(context.workers.list({ activitySid: "WAxxx" }), 400, 20001, "Invalid value 'WAxxx' for ActivitySid");
    await refused(context.workers.page({ pageSize: 50, pageNumber: 1 }), 400, 40153);
    await refused(context.tasks.list({ ordering: "Name:asc" }), 400, 20001);
    await refused(context.workers(missing("WK")).reservations.list(), 404, 20404);
  }));

  test("of creations", inWorld(async ({ sid, context, queue }) => {
    await context.workers.create({ friendlyName: "Ada" });
    const suffix = `already exists for workspace ${sid} for account ${ACCOUNT_SID}`;
    await refused(context.workers.create({ friendlyName: "ADA" }), 400, 20001, `Worker named ADA ${suffix}`);
    await refused(context.taskQueues.create({ friendlyName: "everything" }), 400, 20001, `Queue named everything ${suffix}`);
    await refused(context.workers.create({ friendlyName: " " }), 400, 20002, "FriendlyName must be between 1 and 64 characters");
    await refused(context.workers.create({ friendlyName: "Bob", attributes: "[]" }), 400, 20001, /^Attributes is not a valid JSON object/);
    await refused(context.taskQueues.create({ friendlyName: "Q", targetWorkers: "a ==" }), 400, 20001, /^Invalid TargetWorkers expression: /);
    await refused(context.workflows.create({ friendlyName: "W", configuration: "{}" }), 400, 20001, /^Invalid Workflow configuration/);
    await refused(context.tasks.create({ taskChannel: "fax" }), 400, 20001, `TaskChannel 'fax' does not exist in workspace ${sid}`);
    await refused(context.tasks.create({ virtualStartTime: new Date(Date.now() + 3_600_000) }), 400, 20001, "VirtualStartTime cannot be in the future");
    await refused(context.taskQueues(queue.sid).remove(), 400, 20001, /^Cannot delete task queue/);
  }));

  test("of wrong states", inWorld(async (world) => {
    const worker = await world.worker("Ada");
    const task = await world.task();
    const name = `in workspace ${world.sid} for account ${ACCOUNT_SID}`;
    await refused(world.taskOf(task).update({ assignmentStatus: "completed" }), 400, 20001, `Cannot complete task ${task.sid} ${name} because it is not currently assigned.`);
    const offer = await world.offer(task);
    await world.reservationOf(offer).update({ reservationStatus: "accepted" });
    await refused(world.reservationOf(offer).update({ reservationStatus: "accepted" }), 400, 20001,
      `Reservation ${offer.sid} is already in state [accepted] and cannot be updated to [accepted]`);
    await refused(world.taskOf(task).update({ assignmentStatus: "canceled" }), 400, 20001, `Cannot cancel task ${task.sid} ${name} because it is not pending or reserved.`);
    await refused(world.workerOf(worker).remove(), 400, 20001, /^Cannot delete worker/);
    await refused(world.workerOf(worker).update({ rejectPendingReservations: true }), 400, 20001,
      "Unable to reject pending reservations when updating to an Available activity state.");
  }));

  test("of a rescinded reservation, which is gone", inWorld(async (world) => {
    await world.worker("Ada");
    await world.worker("Bob");
    await world.context.taskQueues(world.queue.sid).update({ maxReservedWorkers: 2 });
    const task = await world.task();
    const [first, second] = await world.context.tasks(task.sid).reservations.list();
    await world.reservationOf(first).update({ reservationStatus: "accepted" });
    await refused(world.reservationOf(second).update({ reservationStatus: "accepted" }), 410, 20410,
      `Reservation ${second.sid} is already in state [rescinded] and cannot be updated to [accepted]`);
  }));

  test("of wrong credentials", async () => {
    await refused(connect(server.url, ACCOUNT_SID, "wrong").taskrouter.v1.workspaces.list({ limit: 1 }), 401, 20003, "Authenticate");
  });
});

describe("life of a task", () => {
  test("create, reserve, accept, wrap, complete", inWorld(async (world) => {
    const worker = await world.worker("Ada", "Available", { skills: ["fr"] });
    const task = await world.task({ type: "call" });
    assert.equal(task.assignmentStatus, "pending");
    const tasks = world.context.tasks(task.sid);
    assert.equal((await tasks.fetch()).assignmentStatus, "reserved");
    const offer = await world.offer(task);
    assert.deepEqual([offer.workerSid, offer.workerName], [worker.sid, "Ada"]);
    assert.equal((await world.reservationOf(offer).update({ reservationStatus: "accepted" })).reservationStatus, "accepted");
    assert.equal((await tasks.fetch()).assignmentStatus, "assigned");
    assert.equal((await tasks.update({ assignmentStatus: "wrapping" })).assignmentStatus, "wrapping");
    const done = await tasks.update({ assignmentStatus: "completed", reason: "solved" });
    assert.deepEqual([done.assignmentStatus, done.reason], ["completed", "solved"]);
    assert.equal((await world.context.workers(worker.sid).reservations(offer.sid).fetch()).reservationStatus, "completed");
    const events = await world.context.events.list({ taskSid: task.sid });
    assert.deepEqual(events.map((event) => event.eventType).reverse(), [
      "task.created", "workflow.entered", "workflow.target-matched", "task-queue.entered", "reservation.created",
      "reservation.accepted", "task.wrapup", "reservation.wrapup", "task.updated",
      "task.completed", "reservation.completed", "task.updated",
    ]);
  }));

  test("a rejection offers the task to the next worker", inWorld(async (world) => {
    await world.worker("Ada");
    await world.worker("Bob");
    const task = await world.task();
    assert.equal((await world.offer(task)).workerName, "Ada");
    await world.reservationOf(await world.offer(task)).update({ reservationStatus: "rejected", workerActivitySid: world.activities.Offline });
    assert.equal((await world.offer(task)).workerName, "Bob");
  }));

  test("leaving with rejection empties the desk", inWorld(async (world) => {
    const worker = await world.worker("Ada");
    await world.context.workers(worker.sid).workerChannels("chat").update({ capacity: 3 });
    const tasks = [];
    for (let count = 0; count < 3; count += 1) tasks.push(await world.task({}, { taskChannel: "chat" }));
    const moved = await world.workerOf(worker).update({ activitySid: world.activities.Offline, rejectPendingReservations: true });
    assert.deepEqual([moved.activityName, moved.available], ["Offline", false]);
    for (const task of tasks) {
      const reservations = await world.context.tasks(task.sid).reservations.list();
      assert.deepEqual(reservations.map((reservation) => reservation.reservationStatus), ["rejected"]);
    }
  }));

  test("of two conditional updates exactly one wins", inWorld(async (world) => {
    const worker = await world.worker("Ada", "Offline");
    for (let version = 0; version < 10; version += 1) {
      const attempts = ["left", "right"].map((side) =>
        world.context.workers(worker.sid).update({ ifMatch: String(version), attributes: JSON.stringify({ side, version }) }));
      const outcomes = (await Promise.allSettled(attempts)).map((outcome) => outcome.reason?.status ?? 200);
      assert.deepEqual(outcomes.sort(), [200, 412]);
    }
  }));
});
