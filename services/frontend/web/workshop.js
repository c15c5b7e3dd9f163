// Shows in the stock page what only the workshop knows: where a waiting job stands, and what the room is told.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

const BAR_STYLE = `
  position: fixed; left: 50%; bottom: 1rem; transform: translateX(-50%); z-index: 1100; max-width: min(36rem, 92vw);
  padding: .55rem 1rem; border-radius: .6rem; border: 1px solid #3a3a40; background: #232326ee; color: #ededf0;
  font: 600 .9rem/1.4 system-ui, sans-serif; box-shadow: 0 .5rem 1.5rem #0008; pointer-events: none;
`;

let bar;

function show(text) {
  if (!bar) {
    bar = document.createElement("div");
    bar.id = "comfyume-waiting";
    bar.setAttribute("role", "status");
    bar.style.cssText = BAR_STYLE;
    document.body.append(bar);
  }
  bar.textContent = text;
  bar.hidden = text === "";
}

function estimate(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return "less than a minute";
  return `about ${Math.round(seconds / 60)} min`;
}

function describe(jobs) {
  if (jobs.length === 0) return "";
  const { position, eta_seconds, message } = jobs[0];
  const place = position > 1 ? `Number ${position} in the queue` : "";
  const more = jobs.length > 1 ? `${jobs.length} jobs waiting` : "";
  return [place, estimate(eta_seconds), message, more].filter(Boolean).join(" · ");
}

function toast(severity, summary, detail, life) {
  app.extensionManager?.toast?.add({ severity, summary, detail, life });
}

app.registerExtension({
  name: "ComfyuME.Workshop",
  setup() {
    api.addEventListener("workshop", ({ detail }) => {
      switch (detail.event) {
        case "waiting":
          show(describe(detail.jobs));
          break;
        case "quota":
          toast("warn", "Your folder is nearly full", detail.message, 10000);
          break;
        case "room.paused":
          toast("info", "The workshop", detail.paused ? "The instructor paused the queue." : "The queue goes on.", 6000);
          break;
      }
    });
    api.addEventListener("execution_start", () => show(""));
  },
});
