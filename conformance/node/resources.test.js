// Create, fetch, update, list and delete of each resource, with the types that the library hands out.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newWorld, refused, useServer } from "./support/world.js";

const server = useServer();
let world;

/** Every named property is a Date that the library parsed. */
function assertDates(instance, ...names) {
  for (const name of names) {
    assert.ok(instance[name] instanceof Date, `${name}: ${instance[name]}`);
    assert.ok(!Number.isNaN(instance[name].getTime()), name);
  }
}

function assertIntegers(instance, ...names) {
  for (const name of names) assert.ok(Number.isInteger(instance[name]), `${name}: ${instance[name]}`);
}

const missing = (prefix) => prefix + "0".repeat(32);

describe("resources", () => {
  before(async () => {
    world = await newWorld(server.client);
  });

  after(async () => {
    if (world) await world.context.remove();
  });

  test("workspaces", async () => {
    const workspaces = server.client.taskrouter.v1.workspaces;
    const created = await workspaces.create({ friendlyName: "Node", template: "FIFO", prioritizeQueueOrder: "LIFO" });
    assertDates(created, "dateCreated", "dateUpdated");
    assert.equal(created.multiTaskEnabled, true);
    assert.equal(created.prioritizeQueueOrder, "LIFO");
    assert.equal(created.eventCallbackUrl, "");
    assert.equal(Object.keys(created.links).length, 10);
    assert.equal((await workspaces(created.sid).fetch()).defaultActivityName, "Offline");
    assert.equal((await workspaces(created.sid).update({ eventsFilter: "task.created" })).eventsFilter, "task.created");
    assert.ok((await workspaces.list({ friendlyName: "nODE" })).some((found) => found.sid === created.sid));
    assert.equal(await workspaces(created.sid).remove(), true);
    await refused(workspaces(created.sid).fetch(), 404, 20404);
  });

  test("activities", async () => {
    const { activities } = world.context;
    const created = await activities.create({ friendlyName: "Lunch", available: false });
    assertDates(created, "dateCreated", "dateUpdated");
    assert.equal(created.available, false);
    assert.equal((await activities(created.sid).update({ friendlyName: "Dinner" })).friendlyName, "Dinner");
    assert.equal((await activities(created.sid).fetch()).friendlyName, "Dinner");
    assert.deepEqual((await activities.list({ available: "true" })).map((found) => found.friendlyName), ["Available"]);
    assert.equal(await activities(created.sid).remove(), true);
    await refused(activities(created.sid).remove(), 404, 20404);
  });

  test("workers", async () => {
    const { workers } = world.context;
    const created = await workers.create({ friendlyName: "Ada", attributes: '{"skills": ["fr"]}' });
    assertDates(created, "dateCreated", "dateUpdated", "dateStatusChanged");
    assert.equal(created.attributes, '{"skills": ["fr"]}');
    assert.equal(created.activityName, "Offline");
    const updated = await workers(created.sid).update({ ifMatch: "0", friendlyName: "Ada L.", attributes: '{"skills":[]}' });
    assert.equal(updated.friendlyName, "Ada L.");
    await refused(workers(created.sid).update({ ifMatch: "0" }), 412, 20412, /If-Match 0 does not match the current version 1/);
    assert.equal((await workers(created.sid).fetch()).attributes, '{"skills":[]}');
    assert.deepEqual((await workers.list({ friendlyName: "ada l." })).map((found) => found.sid), [created.sid]);
    assert.equal(await workers(created.sid).remove({ ifMatch: "1" }), true);
    await refused(workers(created.sid).fetch(), 404, 20404);
  });

  test("worker channels", async () => {
    const worker = await world.worker("Channels", "Offline");
    const { workerChannels } = world.context.workers(worker.sid);
    const listed = await workerChannels.list();
    assert.deepEqual(listed.map((channel) => channel.taskChannelUniqueName), ["default", "voice", "sms", "chat", "video"]);
    const updated = await workerChannels("chat").update({ capacity: 5, available: false });
    assertIntegers(updated, "assignedTasks", "availableCapacityPercentage", "configuredCapacity");
    assertDates(updated, "dateCreated", "dateUpdated");
    assert.deepEqual([updated.configuredCapacity, updated.available], [5, false]);
    assert.equal((await workerChannels(updated.sid).fetch()).configuredCapacity, 5);
    await refused(workerChannels("chat").update({ capacity: 51 }), 400, 20001);
    await world.workerOf(worker).remove();
  });

  test("task channels", async () => {
    const { taskChannels } = world.context;
    const created = await taskChannels.create({ friendlyName: "Fax", uniqueName: "fax", channelOptimizedRouting: true });
    assert.equal(created.channelOptimizedRouting, true);
    assertDates(created, "dateCreated", "dateUpdated");
    assert.equal((await taskChannels("fax").fetch()).sid, created.sid);
    assert.equal((await taskChannels("fax").update({ friendlyName: "Telefax" })).friendlyName, "Telefax");
    assert.equal((await taskChannels.list()).length, 6);
    assert.equal(await taskChannels("fax").remove(), true);
  });

  test("task queues", async () => {
    const { taskQueues } = world.context;
    const created = await taskQueues.create({ friendlyName: "French", targetWorkers: "skills HAS 'fr'", maxReservedWorkers: 2 });
    assertIntegers(created, "maxReservedWorkers");
    assertDates(created, "dateCreated", "dateUpdated");
    assert.deepEqual([created.taskOrder, created.reservationActivitySid], ["FIFO", null]);
    assert.equal((await taskQueues(created.sid).update({ taskOrder: "LIFO" })).taskOrder, "LIFO");
    assert.equal((await taskQueues(created.sid).fetch()).targetWorkers, "skills HAS 'fr'");
    assert.deepEqual((await taskQueues.list()).map((queue) => queue.friendlyName), ["Everything", "French"]);
    assert.equal(await taskQueues(created.sid).remove(), true);
  });

  test("workflows", async () => {
    const { workflows } = world.context;
    const configuration = `{ "task_routing": {"default_filter": {"queue": "${world.queue.sid}"}} }`;
    const created = await workflows.create({ friendlyName: "Second", configuration, taskReservationTimeout: 30 });
    assert.equal(created.configuration, configuration);
    assert.equal(created.taskReservationTimeout, 30);
    assert.deepEqual([created.documentContentType, created.assignmentCallbackUrl], [null, null]);
    assertDates(created, "dateCreated", "dateUpdated");
    const updated = await workflows(created.sid).update({ assignmentCallbackUrl: "https://app.example/assign", reEvaluateTasks: "true" });
    assert.equal(updated.assignmentCallbackUrl, "https://app.example/assign");
    assert.equal((await workflows(created.sid).fetch()).friendlyName, "Second");
    assert.equal((await workflows.list({ friendlyName: "second" })).length, 1);
    assert.equal(await workflows(created.sid).remove(), true);
  });

  test("tasks", async () => {
    const { tasks } = world.context;
    const created = await tasks.create({ attributes: '{"type":"letter"}', priority: 3, timeout: 600, taskChannel: "sms" });
    assertIntegers(created, "age", "priority", "timeout");
    assertDates(created, "dateCreated", "dateUpdated", "taskQueueEnteredDate", "virtualStartTime");
    assert.equal(created.assignmentStatus, "pending");
    assert.deepEqual([created.ignoreCapacity, created.routingTarget, created.reason], [false, null, null]);
    assert.equal((await tasks(created.sid).update({ ifMatch: '"0"', priority: 9 })).priority, 9);
    assert.equal((await tasks(created.sid).fetch()).priority, 9);
    assert.deepEqual((await tasks.list({ assignmentStatus: ["pending", "reserved"] })).map((task) => task.sid), [created.sid]);
    await refused(tasks(created.sid).remove({ ifMatch: "7" }), 412, 20412);
    assert.equal(await tasks(created.sid).remove(), true);
  });

  test("events", async () => {
    const { events } = world.context;
    const [event] = await events.list({ eventType: "worker.created", limit: 1 });
    assertIntegers(event, "eventDateMs");
    assertDates(event, "eventDate");
    assert.equal(typeof event.eventData, "object");
    assert.equal(event.resourceType, "worker");
    assert.equal((await events(event.sid).fetch()).sid, event.sid);
    await refused(events(missing("EV")).fetch(), 404, 20404);
  });

  test("statistics, all fifteen", async () => {
    const { context, queue, workflow } = world;
    const worker = await world.worker("Counted", "Offline");
    const interval = { minutes: 60, splitByWaitTime: "5,30" };
    const cumulative = [
      await context.cumulativeStatistics().fetch(interval),
      await context.taskQueues(queue.sid).cumulativeStatistics().fetch(interval),
      await context.workflows(workflow.sid).cumulativeStatistics().fetch(interval),
    ];
    for (const figures of cumulative) {
      assertIntegers(figures, "avgTaskAcceptanceTime", "reservationsCreated", "tasksCanceled");
      assertDates(figures, "startTime", "endTime");
      assert.deepEqual(Object.keys(figures.splitByWaitTime), ["5", "30"]);
    }
    const workers = await context.workers.cumulativeStatistics().fetch({ minutes: 60 });
    assertIntegers(workers, "reservationsCreated");
    assert.ok(Array.isArray(workers.activityDurations));
    assertIntegers(await context.realTimeStatistics().fetch(), "totalTasks", "totalWorkers", "longestTaskWaitingAge");
    assertIntegers(await context.taskQueues(queue.sid).realTimeStatistics().fetch(), "totalTasks", "totalEligibleWorkers");
    assertIntegers(await context.workflows(workflow.sid).realTimeStatistics().fetch(), "totalTasks");
    assertIntegers(await context.workers.realTimeStatistics().fetch(), "totalWorkers");
    const combined = [
      await context.statistics().fetch(interval),
      await context.taskQueues(queue.sid).statistics().fetch(interval),
      await context.workflows(workflow.sid).statistics().fetch(interval),
      await context.workers.statistics().fetch({ minutes: 60 }),
      ...(await context.taskQueues.statistics.list({ minutes: 60 })),
    ];
    for (const figures of combined) {
      assert.equal(typeof figures.realtime, "object");
      assert.equal(typeof figures.cumulative.reservations_created, "number");
    }
    const one = await context.workers(worker.sid).statistics().fetch({ minutes: 60 });
    assert.equal(one.cumulative.reservations_created, 0);
    for (const body of [{ queueSids: [queue.sid] }, { body: { queueSids: [queue.sid] } }]) {
      const bulk = await context.taskQueues.bulkRealTimeStatistics.create(body);
      assert.equal(bulk.taskQueueResponseCount, 1);
      assert.equal(bulk.taskQueueData[0].task_queue_sid, queue.sid);
    }
    await world.workerOf(worker).remove();
  });

  test("keys", async () => {
    const { client } = server;
    const created = await client.newKeys.create({ friendlyName: "node" });
    assert.match(created.sid, /^SK[0-9a-f]{32}$/);
    assert.equal(created.secret.length, 32);
    assertDates(created, "dateCreated", "dateUpdated");
    assert.equal((await client.keys(created.sid).fetch()).friendlyName, "node");
    assert.equal((await client.keys(created.sid).update({ friendlyName: "renamed" })).friendlyName, "renamed");
    assert.ok((await client.keys.list()).some((key) => key.sid === created.sid));
    assert.equal(await client.keys(created.sid).remove(), true);
    await refused(client.keys(created.sid).fetch(), 404, 20404);
  });
});
