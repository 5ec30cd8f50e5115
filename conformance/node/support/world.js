// A workspace of its own for each test, and short words for what tests do with it.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before } from "node:test";
import twilio from "twilio";
import { connect } from "./client.js";
import { startServer } from "./server.js";

/** One server for a test file. Stopping it must end with exit code 0. */
export function useServer(...options) {
  const context = {};
  before(async () => {
    const server = await startServer(...options);
    Object.assign(context, { url: server.url, stop: server.stop, client: connect(server.url) });
  });
  after(async () => {
    if (context.stop) assert.equal(await context.stop(), 0);
  });
  return context;
}

/** A fresh workspace with one queue for everybody and one workflow that leads there. */
export async function newWorld(client) {
  const { sid } = await client.taskrouter.v1.workspaces.create({ friendlyName: `Conformance ${randomUUID()}` });
  const context = client.taskrouter.v1.workspaces(sid);
  const activities = Object.fromEntries((await context.activities.list()).map((activity) => [activity.friendlyName, activity.sid]));
  const queue = await context.taskQueues.create({ friendlyName: "Everything", targetWorkers: "1==1" });
  const workflow = await context.workflows.create({
    friendlyName: "Flow",
    configuration: JSON.stringify({ task_routing: { default_filter: { queue: queue.sid } } }),
  });
  return {
    sid,
    context,
    activities,
    queue,
    workflow,
    worker: (friendlyName, activity = "Available", attributes = {}) =>
      context.workers.create({ friendlyName, activitySid: activities[activity], attributes: JSON.stringify(attributes) }),
    task: (attributes = {}, parameters = {}) => context.tasks.create({ attributes: JSON.stringify(attributes), ...parameters }),
    // Objects that come from a creation or a list do not know their own SID in twilio 6.2, so `object.update()` fails
    // inside the library; these give the context that does.
    taskOf: (task) => context.tasks(task.sid),
    workerOf: (worker) => context.workers(worker.sid),
    reservationOf: (reservation) => context.tasks(reservation.taskSid).reservations(reservation.sid),
    offer: async (task) => {
      const pending = await context.tasks(task.sid).reservations.list({ reservationStatus: "pending" });
      assert.equal(pending.length, 1);
      return pending[0];
    },
  };
}

/** Expects the promise to fail with the library's own exception, with this status, code and text. */
export async function refused(promise, status, code, message) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof twilio.RestException, `${error}`);
    assert.equal(error.status, status);
    assert.equal(error.code, code);
    assert.equal(error.moreInfo, `https://www.twilio.com/docs/errors/${code}`);
    if (message instanceof RegExp) assert.match(error.message, message);
    else if (message !== undefined) assert.equal(error.message, message);
    return true;
  });
}
