// A node pack's script as many are written: absolute imports, a style sheet and a picture beside it.
import { app } from "/scripts/app.js";
import { words } from "./lib/words.js";

const style = document.createElement("link");
style.rel = "stylesheet";
style.href = new URL("./look.css", import.meta.url).href;
document.head.append(style);

app.registerExtension({
  name: "Demo.Pack",
  setup() {
    window.demoPack = { words, icon: new URL("icon.svg", import.meta.url).href };
  },
});
