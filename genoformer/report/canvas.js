// genomeCanvas(host, scene) fills an element with a canvas of a region that zooms and pans, its buttons and a line that
// reads the values below the pointer. canvas_rows.js draws the rows; genoformer/report/canvas.py makes the scenes.
"use strict";
const genomeCanvas = (() => {
  // Okabe and Ito's colours, as in the other figures; the bases as in most logos.
  const LIGHT = {
    back: "#ffffff", ink: "#1c2530", soft: "#55616e", faint: "#c3cbd4", mark: "#b64a00", ref: "#a3a9b0", alt: "#d55e00",
    change: "#0072b2", gene: "#0072b2", many: ["#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#d55e00", "#0072b2"],
    bases: { A: "#109648", C: "#255c99", G: "#d9961a", T: "#d62839" },
  };
  const DARK = {
    back: "#12181f", ink: "#e4e9ef", soft: "#a6b1bd", faint: "#3a4653", mark: "#f0a35c", ref: "#6d7a88", alt: "#f59a3c",
    change: "#56b4e9", gene: "#7cc4f5", many: ["#2bc79a", "#e09ac4", "#f0c05a", "#7cc4f5", "#f59a3c", "#56b4e9"],
    bases: { A: "#3fc47f", C: "#6fabec", G: "#f7b32b", T: "#ff7480" },
  };
  const FEWEST = 12;  // bases of the smallest region
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const { grouped, line, write } = canvasRows;

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  // What the rows draw with: a context, colours, and the region from..to in `width` pixels from `left`.
  function makePen(ctx, palette, width, [from, to], { fixed, names }) {
    ctx.font = "10px system-ui, sans-serif";
    const widest = Math.max(0, ...names.map((name) => ctx.measureText(name).width + 10));  // names of elements
    const left = Math.max(width < 600 ? 56 : 60, Math.min(widest, width / 5));
    const pen = { ctx, palette, left, width: width - left - 8, from, to, fixed };
    pen.x = (at) => pen.left + ((at - from) / (to - from)) * pen.width;
    pen.clip = (top, height) => {
      ctx.save();
      ctx.beginPath();
      ctx.rect(pen.left, top, pen.width, height);
      ctx.clip();
    };
    return pen;
  }

  function paint(pen, rows, scene, height) {
    pen.ctx.fillStyle = pen.palette.back;
    pen.ctx.fillRect(0, 0, pen.left + pen.width + 8, height);
    if (scene.variant) band(pen, scene.variant, height);
    let top = 0;
    for (const row of rows) {
      row.draw(pen, top);
      top += row.height;
    }
  }
  // The variant: a line through all rows, or a band where its bases are wider than the line, and its alleles at the top.
  function band(pen, variant, height) {
    const a = pen.x(variant.start), b = pen.x(Math.max(variant.end, variant.start + 1));
    if (b < pen.left || a > pen.left + pen.width) return;
    pen.clip(14, height);
    if (b - a > 3) {
      pen.ctx.globalAlpha = 0.16;
      pen.ctx.fillStyle = pen.palette.mark;
      pen.ctx.fillRect(a, 14, b - a, height);
      pen.ctx.globalAlpha = 1;
    } else line(pen, (a + b) / 2, 14, (a + b) / 2, height, pen.palette.mark, 1.2, [4, 3]);
    pen.ctx.restore();
    const text = variant.label, middle = (a + b) / 2;
    pen.ctx.font = "600 11px system-ui, sans-serif";
    const half = pen.ctx.measureText(text).width / 2;
    const x = Math.min(Math.max(middle, half + 2), pen.left + pen.width - half + 4);
    write(pen, text, x, 10, { align: "center", colour: pen.palette.mark, weight: "600" });
  }

  return function show(host, scene) {
    const whole = [scene.start, scene.end], first = scene.view || whole, rows = canvasRows.make(scene);
    let view = [...first], waiting = 0, speaking = 0;
    const options = { fixed: false, names: scene.elements.map((kind) => kind.name) };

    const canvas = element("canvas", {
      tabindex: "0", role: "img", "aria-label": scene.title, "aria-describedby": `${scene.id}-text`,
      "aria-keyshortcuts": "ArrowLeft ArrowRight + - 0",
    });
    const where = element("span", { class: "canvas-where", role: "status", "aria-live": "polite" });
    const reading = element("p", { class: "canvas-reading" });
    const button = (text, label, act) => {
      const made = element("button", { type: "button", "aria-label": label, title: label }, text);
      made.addEventListener("click", act);
      return made;
    };
    const box = element("input", { type: "checkbox" });
    box.addEventListener("change", () => { options.fixed = box.checked; redraw(); });
    const hasTracks = scene.rows.some((row) => row.kind === "track"), hasAlt = scene.rows.some((row) => row.pieces && row.pieces[0].alt);
    const key = (name, text) => element("span", { class: `canvas-key canvas-${name}` }, text);
    const letters = scene.rows.find((row) => row.kind === "bases" && row.text.length <= 1200);
    const toLetters = () => go(letters.start - 1, letters.start + letters.text.length + 1);
    const tools = element("div", { class: "canvas-tools", role: "group", "aria-label": "Move the region" },
      button("◀", "Pan left (arrow left)", () => pan(-0.25)), button("▶", "Pan right (arrow right)", () => pan(0.25)),
      button("+", "Zoom in (+)", () => zoom(0.5)), button("−", "Zoom out (-)", () => zoom(2)),
      button("Reset", "Region that was shown first (0)", reset), button("Whole", "Everything that was predicted", () => go(...whole)),
      ...(letters ? [button("Letters", "Zoom to the letters (Enter)", toLetters)] : []),
      button("Save PNG", "Save the picture as PNG", save), where);
    const keys = element("div", { class: "canvas-keys" });
    if (hasTracks) keys.append(key("ref", hasAlt ? "REF" : "reference"));
    if (hasAlt) keys.append(key("alt", "ALT"), key("change", "ALT − REF"));
    keys.append(element("label", {}, box, " one height for all regions"));
    host.replaceChildren(tools, keys, canvas, reading);
    host.classList.add("canvas-ready");

    const height = () => rows.reduce((sum, row) => sum + row.height, 0);
    function go(from, to) {
      const span = Math.min(whole[1] - whole[0], Math.max(FEWEST, to - from)), middle = (from + to) / 2;
      const start = Math.min(Math.max(middle - span / 2, whole[0]), whole[1] - span);
      view = [start, start + span];
      redraw();
      clearTimeout(speaking);
      speaking = setTimeout(() => { where.textContent = place(); }, 250);  // one message after a series of steps
    }
    const place = () => `${scene.chrom}:${grouped(Math.floor(view[0]) + 1)}-${grouped(Math.ceil(view[1]))} (${grouped(view[1] - view[0])} bp)`;
    const pan = (part) => go(view[0] + part * (view[1] - view[0]), view[1] + part * (view[1] - view[0]));
    function zoom(factor, at = (view[0] + view[1]) / 2) {
      const span = Math.min(whole[1] - whole[0], Math.max(FEWEST, (view[1] - view[0]) * factor));
      const part = (at - view[0]) / (view[1] - view[0]);
      go(at - part * span, at - part * span + span);
    }
    function reset() { go(...first); }
    const width = () => Math.max(240, host.clientWidth);
    const pen = () => makePen(canvas.getContext("2d"), dark.matches ? DARK : LIGHT, width(), view, options);
    function redraw() {
      if (!waiting) waiting = requestAnimationFrame(() => { waiting = 0; draw(); });
    }
    function draw() {
      const scale = window.devicePixelRatio || 1, w = width(), h = height();
      if (canvas.width !== Math.round(w * scale) || canvas.height !== Math.round(h * scale)) {
        canvas.width = Math.round(w * scale);
        canvas.height = Math.round(h * scale);
        canvas.style.width = `${w}px`;
        canvas.style.height = `${h}px`;
      }
      const drawn = pen();
      drawn.ctx.setTransform(scale, 0, 0, scale, 0, 0);
      paint(drawn, rows, scene, h);
    }
    function measure() {
      const ctx = canvas.getContext("2d");
      const pens = [first, whole].map((region) => makePen(ctx, LIGHT, width(), region, options));
      for (const row of rows) if (row.measure) row.measure(pens);
      draw();
    }
    // A picture in light colours and of the first region, for print and for files.
    function picture(region, wide = 1000) {
      const made = document.createElement("canvas"), h = height();
      made.width = 2 * wide;
      made.height = 2 * h;
      const drawn = makePen(made.getContext("2d"), LIGHT, wide, region, options);
      drawn.ctx.scale(2, 2);
      paint(drawn, rows, scene, h);
      return made;
    }
    function save() {
      const link = element("a", { download: `${scene.title.replace(/[^\w.-]+/g, "_")}.png`, href: picture(view).toDataURL() });
      link.click();
    }
    function at(event) {
      const drawn = pen(), box = canvas.getBoundingClientRect();
      return drawn.from + ((event.clientX - box.left - drawn.left) / drawn.width) * (drawn.to - drawn.from);
    }
    function read(position) {
      const base = Math.floor(position);
      if (position < view[0] || position >= view[1]) return;
      const values = rows.flatMap((row) => row.read(position));
      reading.textContent = [`${scene.chrom}:${grouped(base + 1)}`, ...values].join(" · ");
    }

    // The wheel zooms a canvas that has the focus, or with Ctrl; otherwise it scrolls the page. Escape gives the focus up.
    canvas.addEventListener("wheel", (event) => {
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
      if (sideways) pan((0.002 * (event.deltaX || event.deltaY)));
      else if (event.ctrlKey || event.metaKey || document.activeElement === canvas) {
        const isWhole = view[1] - view[0] >= whole[1] - whole[0] && event.deltaY > 0 && !event.ctrlKey;
        if (isWhole) return;
        zoom(Math.exp(Math.max(-1, Math.min(1, 0.0025 * event.deltaY))), Math.min(Math.max(at(event), view[0]), view[1]));
      } else return;
      event.preventDefault();
    }, { passive: false });
    // One pointer drags, two pinch.
    const pointers = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event.clientX);
      canvas.classList.add("canvas-drag");
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (before === undefined) { read(at(event)); return; }
      const perPixel = (view[1] - view[0]) / pen().width;
      const other = [...pointers].find(([id]) => id !== event.pointerId);
      if (other) {
        const apart = Math.max(20, Math.abs(event.clientX - other[1])), was = Math.max(20, Math.abs(before - other[1]));
        zoom(was / apart, at({ clientX: (event.clientX + other[1]) / 2 }));
      } else {
        const moved = (before - event.clientX) * perPixel;
        go(view[0] + moved, view[1] + moved);
      }
      pointers.set(event.pointerId, event.clientX);
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      if (!pointers.size) canvas.classList.remove("canvas-drag");
    });
    canvas.addEventListener("dblclick", (event) => zoom(0.4, at(event)));
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const step = event.shiftKey ? 0.5 : 0.1;
      const acts = {
        ArrowLeft: () => pan(-step), ArrowRight: () => pan(step), "+": () => zoom(0.7), "=": () => zoom(0.7),
        "-": () => zoom(1 / 0.7), _: () => zoom(1 / 0.7), 0: reset, Home: () => go(...whole), Escape: () => canvas.blur(),
        ...(letters ? { Enter: toLetters } : {}),
      };
      if (!acts[event.key]) return;
      acts[event.key]();
      event.preventDefault();
      read((view[0] + view[1]) / 2);
    });
    const ended = new AbortController(), observer = new ResizeObserver(measure);
    if (host.endCanvas) host.endCanvas();  // of the scene before
    host.endCanvas = () => { observer.disconnect(); ended.abort(); };
    dark.addEventListener("change", redraw, { signal: ended.signal });
    observer.observe(host);
    measure();
    where.textContent = place();
    reading.textContent = "Point at the canvas to read values. Drag, or use the wheel after a click; keys: arrows, +, -, 0.";
    return { rows, picture: () => picture(first), go, view: () => [...view], draw };
  };
})();
