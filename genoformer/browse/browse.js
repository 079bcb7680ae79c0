// The page of genoformer browse: sends a query, shows the progress of its job, and draws its view on the canvas.
"use strict";
const get = (id) => document.getElementById(id);
let canvas = null, job = null, chrom = "";

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The page gets no answer. Does genoformer browse still run?");
  }
  const data = answer.status === 204 ? null : await answer.json().catch(() => ({ error: answer.statusText }));
  if (!answer.ok) throw new Error(data.error || answer.statusText);
  return data;
}
function fail(text) {
  get("error").textContent = text;
  get("error").hidden = !text;
}
function made(name, text, attributes = {}) {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// --- the query, which is also in the address, so that Back and a bookmark work
function query() {
  const bases = get("bases").value;
  return {
    place: get("place").value, tracks: get("tracks").value, bases: bases ? Number(bases) : null,
    ism: get("ism").checked, attention: get("attention").value,
  };
}
function remember(of) {
  const parts = new URLSearchParams(Object.entries(of).filter(([, value]) => value).map(([key, value]) => [key, String(value)]));
  if (`#${parts}` !== window.location.hash) window.history.pushState(null, "", `#${parts}`);
}
function recall() {
  const parts = new URLSearchParams(window.location.hash.slice(1));
  for (const name of ["place", "tracks", "bases", "attention"]) get(name).value = parts.get(name) || "";
  get("ism").checked = parts.get("ism") === "true";
  if (parts.get("place")) show();
}

// --- a job: sent, followed until its end, cancelled by the next one
async function show() {
  const of = query();
  if (!of.place.trim()) return;
  fail("");
  remember(of);
  if (job !== null) stop();
  let mine = null;
  try {
    mine = await call("jobs", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(of) });
    job = mine.id;
    busy(mine);
    while (mine.state === "waiting" || mine.state === "running") {
      await new Promise((resolve) => { setTimeout(resolve, 250); });
      if (job !== mine.id) return;  // another query took its place
      mine = await call(`jobs/${mine.id}`);
      if (job !== mine.id) return;
      busy(mine);
    }
    if (mine.state === "done") draw(mine.view);
    else if (mine.state === "failed") fail(mine.error);
  } catch (error) {
    fail(error.message);
  }
  if (mine === null || job === mine.id) { job = null; get("busy").hidden = true; }
}
function stop() {
  const number = job;
  job = null;
  get("busy").hidden = true;
  call(`jobs/${number}`, { method: "DELETE" }).catch(() => {});
}
function busy(of) {
  get("busy").hidden = false;
  const bar = get("bar");
  if (of.total) { bar.max = of.total; bar.value = of.done; } else bar.removeAttribute("value");
  const counts = of.total ? `, ${of.done.toLocaleString("en")} of ${of.total.toLocaleString("en")}` : "";
  const stage = of.state === "waiting" ? "waiting for another request" : of.stage || "working";
  get("stage").textContent = `${stage}${counts}, ${Math.round(of.seconds)} s`;
}

// --- a view
function draw(view) {
  get("hint").hidden = true;
  chrom = view.scene.chrom;
  canvas = genomeCanvas(get("canvas"), view.scene);
  get("canvas").setAttribute("aria-label", view.scene.title);
  get("print").src = canvas.picture().toDataURL();
  get("print").alt = view.scene.title;
  get("canvas-text").textContent = view.text;
  get("words").hidden = false;
  get("texts").replaceChildren(...view.texts.filter(Boolean).map((text) => made("p", text)));
  get("scores").hidden = !view.scores.length;
  get("scores").tBodies[0].replaceChildren(...view.scores.map(({ name, value }) => {
    const row = document.createElement("tr");
    row.append(made("th", name, { scope: "row" }), made("td", value));
    return row;
  }));
  get("here").disabled = false;
  for (const button of get("listed").querySelectorAll("button")) {
    button.setAttribute("aria-current", String(button.dataset.place === get("place").value));
  }
}

// --- the list of variants
function list(variants) {
  get("side").hidden = !variants.length;
  get("listed").replaceChildren(...variants.map((of) => {
    const item = document.createElement("li"), button = made("button", of.shown, { type: "button" });
    button.append(made("small", [of.id, of.score].filter(Boolean).join(" · ")));
    button.dataset.place = of.place;
    button.addEventListener("click", () => { get("place").value = of.place; show(); });
    item.append(button);
    return item;
  }));
  get("search").addEventListener("input", () => {
    const wanted = get("search").value.trim().toLowerCase();
    for (const item of get("listed").children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  });
}

async function start() {
  const about = await call("about");
  for (const text of about.warnings) get("warnings").append(made("p", `Warning: ${text}`, { class: "warning" }));
  get("of-tracks").hidden = about.kind !== "tracks";
  get("of-attention").hidden = !about.attention;
  get("or-gene").hidden = !about.has_genes;
  if (about.kind === "tracks") get("attention").querySelector("[value=viz]").remove();
  else get("ism").checked = true;  // of a language model or a classifier it is quick
  get("place").placeholder = [about.example, about.variant].filter(Boolean).join(" or ");
  get("or-variant").hidden = !about.variant;
  for (const [id, place] of [["example-region", about.example], ["example-variant", about.variant]]) {
    get(id).textContent = place;
    get(id).addEventListener("click", () => { get("place").value = place; show(); });
  }
  list(about.listed);
  get("form").addEventListener("submit", (event) => { event.preventDefault(); show(); });
  get("cancel").addEventListener("click", () => { if (job !== null) stop(); });
  get("here").addEventListener("click", () => {
    const [from, to] = canvas.view();
    get("place").value = `${chrom}:${Math.floor(from) + 1}-${Math.ceil(to)}`;
    show();
  });
  window.addEventListener("popstate", recall);
  if (window.location.hash.length > 1) recall();
  get("place").focus();
}
start().catch((error) => fail(error.message));
