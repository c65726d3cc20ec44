// pg-boss: deferred jobs in PostgreSQL, stored in batches as its documentation advises, and one worker that fetches
// a hundred at once, twice a second.
import { appendFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const PgBoss = createRequire(`${process.cwd()}/.venv-peers-node/`)("pg-boss");
const spec = JSON.parse(process.env.PEER_SPEC);
const [, user, name, host, port] = spec.database.match(/^postgresql:\/\/(.*)@\/(.*)\?host=(.*)&port=(.*)$/);
const boss = new PgBoss({ user, database: name, host: decodeURIComponent(host), port: Number(port) });
const BATCH = 1000;

// As `work` of spec.py: a line this short is written atomically.
async function work(name) {
  const line = `${name} ${Date.now() / 1000}\n`;
  if (spec.work_seconds) await sleep(spec.work_seconds * 1000);
  appendFileSync(spec.log, line);
}

async function load() {
  const started = Date.now();
  let loaded = 0;
  for (const [slot, count] of spec.slots) {
    for (let first = 0; first < count; first += BATCH) {
      if (Date.now() - started > spec.load_seconds * 1000) break;
      const numbers = Array.from({ length: Math.min(BATCH, count - first) }, (_, index) => first + index);
      const startAfter = new Date(slot * 1000);
      await boss.insert(numbers.map((number) => ({ name: "work", data: { name: `${slot}-${number}` }, startAfter })));
      loaded += numbers.length;
      console.log(`loaded ${loaded}`);
    }
  }
  console.log("loaded all");
}

boss.on("error", console.error);
await boss.start();
await boss.createQueue("work");
if (spec.is_first) await load();
await boss.work("work", { batchSize: 100, pollingIntervalSeconds: 0.5 }, (jobs) =>
  Promise.all(jobs.map((job) => work(job.data.name))),
);
