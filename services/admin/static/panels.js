// How each panel is shown; their forms are those of panels.py and stack_watch.py.

import { badge, element, fillTable, since } from "./dom.js";

const JOB_KINDS = { running: "run", queued: "wait", failed: "bad", dead: "bad" };
const WORKER_KINDS = { idle: "good", busy: "run", draining: "wait", lost: "bad" };
const HEALTH_KINDS = { healthy: "good", unhealthy: "bad", silent: "bad", unknown: "" };
const HEALTH_WORDS = { silent: "no answer", unknown: "not asked" };
const DISCIPLINES = { round_robin: "in turn", fifo: "first come", priority: "by priority" };

const jobName = (job) => `#${job.number}${job.label ? ` ${job.label}` : ""}${job.run_next ? " (next)" : ""}`;
const jobState = (job) => badge(JOB_KINDS[job.state] ?? "", job.attempt > 1 ? `${job.state}, attempt ${job.attempt}` : job.state);
const gigabytes = (bytes) => (bytes / 2 ** 30).toFixed(1);

let jobNames = new Map();
let progress = {};

export const panels = {
  queue({ problem }) {
    say("problem", problem);
  },

  room(room) {
    const tiles = {
      Running: room.running,
      Waiting: room.waiting,
      Discipline: DISCIPLINES[room.discipline] ?? room.discipline,
      Door: room.draining ? "draining" : room.paused ? "paused" : "open",
    };
    const made = Object.entries(tiles).map(([name, value]) =>
      element("div", {}, element("dt", { text: name }), element("dd", { text: value })),
    );
    document.getElementById("tiles").replaceChildren(...made);
    jobNames = new Map(room.jobs.map((job) => [job.id, `${job.participant} ${jobName(job)}`]));
    fillTable("jobs", room.jobs.map((job) => [job.id, jobCells(job)]), "Nobody waits.");
    showProgress();
    fillTable(
      "failed",
      room.failed.map((job) => [job.id, [job.participant, jobName(job), jobState(job), job.error, since(job.since)]]),
      "Nothing failed.",
    );
    fillTable(
      "people",
      room.people.map((person) => [person.name, [person.name, person.running, person.waiting, person.ended_today]]),
      "Nobody has submitted anything.",
    );
  },

  progress({ jobs }) {
    progress = jobs;
    showProgress();
  },

  workers({ workers }) {
    fillTable("worker-rows", workers.map((worker) => [worker.name, workerCells(worker)]), "No worker has come yet.");
  },

  stack({ problem, title, hosts, containers, links }) {
    document.getElementById("stack-title").textContent = title;
    say("stack-problem", problem);
    fillTable("host-rows", hosts.map((host) => [host.name, hostCells(host)]), "No host is described.");
    fillTable("container-rows", containers.map((one) => [one.name, containerCells(one)]), "No container is described.");
    const list = document.getElementById("link-rows");
    const made = links.map((link) => element("li", { className: "stack" }, element("a", { href: safe(link.url), text: link.title })));
    list.replaceChildren(list.firstElementChild, ...made);
  },
};

function jobCells(job) {
  const bar = element("span", { "data-progress": job.id });
  return [job.participant, jobName(job), jobState(job), bar, job.worker, since(job.since)];
}

function showProgress() {
  for (const place of document.querySelectorAll("[data-progress]")) {
    const now = progress[place.dataset.progress];
    if (!now) continue;
    let bar = place.querySelector("progress");
    if (!bar) {
      bar = element("progress", { "aria-label": "progress of the node that runs" });
      place.replaceChildren(bar, element("span", { className: "meter-text" }));
    }
    bar.max = now.max;
    bar.value = now.value;
    place.lastElementChild.textContent = `node ${now.node}: ${now.value} of ${now.max}`;
  }
}

function workerCells(worker) {
  const doing = worker.job ? `${worker.state}: ${jobNames.get(worker.job) ?? "a job"}` : worker.state;
  const version = `${worker.comfyui_version}${worker.rehearsal ? ", rehearsal" : ""}`;
  return [worker.name, badge(WORKER_KINDS[worker.state] ?? "", doing), memory(worker), worker.loaded_model || "–", version, since(worker.last_seen)];
}

function memory(worker) {
  if (!worker.memory_total) return "no GPU";
  const used = worker.memory_total - worker.memory_free;
  const bar = element("progress", { max: worker.memory_total, value: used, "aria-label": "GPU memory in use" });
  const words = `${gigabytes(used)} of ${gigabytes(worker.memory_total)} GiB, ${worker.gpu}`;
  return element("span", {}, bar, element("span", { className: "meter-text", text: words }));
}

function hostCells(host) {
  const all = host.containers ? `${host.containers - host.silent} of ${host.containers} well` : "–";
  const state = host.containers ? badge(host.silent ? "bad" : "good", all) : all;
  const address = [host.address, host.tailnet_address].filter(Boolean).join(", ");
  const price = host.price_per_hour === null ? "–" : `€ ${host.price_per_hour.toFixed(3)} an hour`;
  return [host.name, `${host.role}, ${host.machine_type}`, state, [host.provider, host.location].filter(Boolean).join(" "), address, price];
}

function containerCells(one) {
  const health = badge(HEALTH_KINDS[one.health] ?? "", HEALTH_WORDS[one.health] ?? one.health);
  return [one.name, health, since(one.since), one.host, `${one.memory_mb} MB, ${one.cpus} CPU`, one.image];
}

function say(id, sentence) {
  const place = document.getElementById(id);
  place.hidden = !sentence;
  if (place.textContent !== (sentence ?? "")) place.textContent = sentence ?? "";
}

function safe(url) {
  return /^https?:\/\//.test(url) ? url : "#links";
}
