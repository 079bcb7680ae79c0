// Rows of a genome canvas: each knows its height, draws itself for a visible region, and reads its values at a position.
// Positions are bases from 0; a region is [from, to). canvas.js puts the rows below each other and moves the region.
"use strict";
const canvasRows = (() => {
  const LABEL = 17, LANE = 27, MOST_LANES = 4, ELEMENT = 15, PLOT = 84, CHANGE = 44, LETTERS = 62, CELL = 12, RULER = 46;
  const READABLE = 7;  // pixels of a base from which letters are drawn

  // Base64 of little-endian float32 -> Float32Array.
  function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  }
  const grouped = (n) => Math.round(n).toLocaleString("en");
  // A number of three digits, with the minus sign of the other figures (U+2212).
  function short(value) {
    if (!Number.isFinite(value)) return "no value";
    if (value === 0) return "0";
    const size = Math.abs(value);
    const text = size >= 1e5 || size < 1e-4 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
    return text.replaceAll("-", "−");
  }
  function write(pen, text, x, y, { colour = pen.palette.ink, align = "left", size = 11, weight = "" } = {}) {
    pen.ctx.font = `${weight} ${size}px system-ui, sans-serif`;
    pen.ctx.fillStyle = colour;
    pen.ctx.textAlign = align;
    pen.ctx.fillText(text, x, y);
  }
  // The text, cut to a width in pixels; a name in brackets at its end stays.
  function fit(pen, text, width, size = 11, weight = "") {
    pen.ctx.font = `${weight} ${size}px system-ui, sans-serif`;
    if (pen.ctx.measureText(text).width <= width) return text;
    const [tail] = text.match(/ \([^()]{1,24}\)$/) || [""];
    let end = text.length - tail.length;
    while (end > 1 && pen.ctx.measureText(`${text.slice(0, end)}…${tail}`).width > width) end -= 1;
    return `${text.slice(0, end)}…${tail}`;
  }
  function line(pen, x0, y0, x1, y1, colour, width = 1, dash = []) {
    const { ctx } = pen;
    ctx.beginPath();
    ctx.setLineDash(dash);
    ctx.strokeStyle = colour;
    ctx.lineWidth = width;
    ctx.moveTo(x0, y0);
    ctx.lineTo(x1, y1);
    ctx.stroke();
    ctx.setLineDash([]);
  }
  function head(pen, label, unit, top) {
    const text = fit(pen, label, pen.left + pen.width - 4, 12, "600");
    write(pen, text, 2, top + 12, { size: 12, weight: "600" });
    pen.ctx.font = "600 12px system-ui, sans-serif";
    const used = pen.ctx.measureText(text).width + 12;
    if (unit && pen.left + pen.width - used > 60) {
      write(pen, fit(pen, unit, pen.left + pen.width - used - 4), used, top + 12, { colour: pen.palette.soft });
    }
  }

  // Round coordinates and the scale of the visible region.
  function ruler() {
    return {
      height: RULER,
      draw(pen, top) {
        const span = pen.to - pen.from;
        pen.ctx.font = "11px system-ui, sans-serif";
        const least = span / Math.max(2, Math.floor(pen.width / (pen.ctx.measureText(grouped(pen.to)).width + 24)));
        const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
        const step = Math.max(1, [1, 2, 5, 10].map((k) => k * power).find((k) => k >= least));
        const bottom = top + RULER - 6;
        line(pen, pen.left, bottom, pen.left + pen.width, bottom, pen.palette.soft);
        for (let at = Math.ceil((pen.from + 1) / step) * step; at <= pen.to; at += step) {
          const x = pen.x(at - 0.5);  // a tick is in the middle of its base, whose number counts from 1
          line(pen, x, bottom - 4, x, bottom, pen.palette.soft);
          const half = pen.ctx.measureText(grouped(at)).width / 2 + 2;
          if (x - half > pen.left - 4 && x + half < pen.left + pen.width + 6) {
            write(pen, grouped(at), x, bottom - 8, { align: "center", colour: pen.palette.soft });
          }
        }
        write(pen, "bp", 2, bottom - 8, { colour: pen.palette.soft });
      },
      read: () => [],
    };
  }

  // Genes: exons are boxes on a line with chevrons in the direction of transcription.
  function genes(list) {
    const spans = list.map((gene) => [gene.exons[0][0], gene.exons[gene.exons.length - 1][1]]);
    function lanes(pen) {
      const ends = [], placed = [];
      list.forEach((gene, i) => {
        const [start, end] = spans[i];
        if (end <= pen.from || start >= pen.to) return;
        const x0 = Math.max(pen.x(start), pen.left), x1 = Math.min(pen.x(end), pen.left + pen.width);
        pen.ctx.font = "italic 11px system-ui, sans-serif";
        const right = Math.max(x1, x0 + pen.ctx.measureText(gene.name).width) + 10;
        let lane = ends.findIndex((last) => last < x0);
        if (lane < 0) lane = ends.length;
        ends[lane] = right;
        placed.push({ gene, x0, x1, lane });
      });
      return placed;
    }
    return {
      height: list.length ? LABEL + LANE : LABEL,
      // as many lanes as the regions that are shown first need
      measure(pens) {
        if (!list.length) return;
        const needed = pens.map((pen) => Math.max(0, ...lanes(pen).map((of) => of.lane)) + 1);
        this.height = LABEL + LANE * Math.min(MOST_LANES, Math.max(...needed));
      },
      draw(pen, top) {
        const n = Math.floor((this.height - LABEL) / LANE), placed = lanes(pen);
        const left = placed.filter((of) => of.lane >= n).length;
        const none = placed.length ? "" : "none in this region";
        head(pen, "Genes", left ? `${left} more: zoom in` : none, top);
        for (const { gene, x0, x1, lane } of placed.filter((of) => of.lane < n)) {
          const y = top + LABEL + lane * LANE + 6, colour = pen.palette.gene;
          line(pen, x0, y, Math.max(x1, x0 + 1), y, colour);
          const turn = gene.strand === "-" ? 3 : -3;
          if (gene.strand !== ".") {
            for (let x = x0 + 6; x < x1 - 3; x += 14) {
              line(pen, x + turn, y - 3, x, y, colour);
              line(pen, x + turn, y + 3, x, y, colour);
            }
          }
          pen.ctx.fillStyle = colour;
          for (const [start, end] of gene.exons) {
            const a = Math.max(pen.x(start), pen.left), b = Math.min(pen.x(end), pen.left + pen.width);
            if (b >= pen.left && a <= pen.left + pen.width) pen.ctx.fillRect(a, y - 5, Math.max(1.5, b - a), 10);
          }
          pen.ctx.font = "italic 11px system-ui, sans-serif";
          const last = pen.left + pen.width - pen.ctx.measureText(gene.name).width;
          write(pen, gene.name, Math.max(Math.min(x0, last), pen.left), y + 16, { weight: "italic" });
        }
      },
      read(at) {
        return list.flatMap((gene, i) => {
          if (at < spans[i][0] || at >= spans[i][1]) return [];
          const inExon = gene.exons.some(([start, end]) => at >= start && at < end);
          return [`${inExon ? "exon" : "intron"} of ${gene.name} (${gene.strand})`];
        });
      },
    };
  }

  function elements(list) {
    return {
      height: LABEL + ELEMENT * list.length,
      draw(pen, top) {
        head(pen, "Elements", "", top);
        list.forEach((kind, i) => {
          const y = top + LABEL + ELEMENT * i;
          pen.ctx.fillStyle = pen.palette.many[i % pen.palette.many.length];
          for (const [start, end] of kind.intervals) {
            if (end <= pen.from || start >= pen.to) continue;
            const a = Math.max(pen.x(start), pen.left), b = Math.min(pen.x(end), pen.left + pen.width);
            pen.ctx.fillRect(a, y, Math.max(2, b - a), 10);
          }
          write(pen, fit(pen, kind.name, pen.left - 6, 10), 2, y + 9, { size: 10, colour: pen.palette.soft });
        });
      },
      read: (at) => list.filter((kind) => kind.intervals.some(([start, end]) => at >= start && at < end)).map((k) => k.name),
    };
  }

  // Of pieces that overlap, the one with the smallest bins that covers a position.
  function pieceAt(pieces, at) {
    let best = null;
    for (const piece of pieces) {
      if (at >= piece.start && at < piece.start + piece.n * piece.bin && (!best || piece.bin < best.bin)) best = piece;
    }
    return best;
  }
  // For each pixel column, the value with the largest size of the bins below it.
  function columns(pen, pieces, name) {
    const n = Math.max(1, Math.ceil(pen.width)), found = new Float32Array(n).fill(NaN), perPixel = (pen.to - pen.from) / pen.width;
    for (let k = 0; k < n; k += 1) {
      const a = pen.from + k * perPixel, piece = pieceAt(pieces, a + perPixel / 2);
      if (!piece) continue;
      const first = Math.max(0, Math.floor((a - piece.start) / piece.bin));
      const last = Math.max(first, Math.min(piece.n - 1, Math.ceil((a + perPixel - piece.start) / piece.bin) - 1));
      const values = piece[name];
      let most = values[first];
      for (let i = first + 1; i <= last; i += 1) if (Math.abs(values[i]) > Math.abs(most)) most = values[i];
      found[k] = most;
    }
    return found;
  }
  function extent(arrays) {
    let low = 0, high = 0;
    for (const values of arrays) for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return [low, high];
  }
  function steps(pen, values, y, colour, { base = null, alpha = 1, width = 1.4 } = {}) {
    const { ctx } = pen;
    ctx.save();
    ctx.globalAlpha = alpha;
    if (base !== null) {
      ctx.fillStyle = colour;
      values.forEach((value, k) => {
        if (!Number.isNaN(value)) ctx.fillRect(pen.left + k, Math.min(y(value), base), 1.05, Math.abs(base - y(value)));
      });
    } else {
      ctx.beginPath();
      ctx.strokeStyle = colour;
      ctx.lineWidth = width;
      let open = false;
      values.forEach((value, k) => {
        if (Number.isNaN(value)) { open = false; return; }
        if (open) ctx.lineTo(pen.left + k, y(value)); else ctx.moveTo(pen.left + k, y(value));
        ctx.lineTo(pen.left + k + 1, y(value));
        open = true;
      });
      ctx.stroke();
    }
    ctx.restore();
  }
  function axis(pen, ticks) {
    line(pen, pen.left - 0.5, ticks[0][1], pen.left - 0.5, ticks[ticks.length - 1][1], pen.palette.soft);
    const last = ticks.length - 1;
    for (const [i, [text, y, shift = 4]] of ticks.entries()) {
      line(pen, pen.left - 4, y, pen.left, y, pen.palette.soft);
      const hides = i > 0 && i < last && Math.min(...[0, last].map((k) => Math.abs(ticks[k][1] - y))) < 11;
      if (!hides) write(pen, text, pen.left - 6, y + shift, { align: "right", size: 10, colour: pen.palette.soft });
    }
  }

  // A predicted track: REF filled, ALT as a line over it, and the difference below with a scale of its own.
  function track(row) {
    const pieces = row.pieces.map((piece) => {
      const ref = unpack(piece.ref), alt = piece.alt ? unpack(piece.alt) : null;
      return { ...piece, n: ref.length, ref, alt, change: alt ? alt.map((value, i) => value - ref[i]) : null };
    });
    const both = pieces.every((piece) => piece.alt);
    const all = extent(pieces.flatMap((piece) => (both ? [piece.ref, piece.alt] : [piece.ref])));
    const largest = both ? extent(pieces.map((piece) => piece.change)) : [0, 0];
    return {
      pieces,
      height: LABEL + PLOT + (both ? CHANGE : 0) + 10,
      draw(pen, top) {
        head(pen, row.label, row.unit, top);
        const ref = columns(pen, pieces, "ref"), alt = both ? columns(pen, pieces, "alt") : null;
        const [low, high] = pen.fixed ? all : extent(both ? [ref, alt] : [ref]);
        const above = top + LABEL + 5, base = top + LABEL + PLOT, span = high - low || 1;
        const y = (value) => base - ((value - low) / span) * (base - above);
        steps(pen, ref, y, pen.palette.ref, { base: y(0) });
        if (both) steps(pen, alt, y, pen.palette.alt);
        axis(pen, low < 0 ? [[short(high), y(high)], ["0", y(0)], [short(low), y(low)]] : [[short(high || 1), above], ["0", base]]);
        line(pen, pen.left, y(0), pen.left + pen.width, y(0), pen.palette.faint);
        if (!both) return;
        const change = columns(pen, pieces, "change"), ends = pen.fixed ? largest : extent([change]);
        const most = Math.max(-ends[0], ends[1]) || 1, middle = base + 6 + CHANGE / 2, half = CHANGE / 2 - 2;
        steps(pen, change, (value) => middle - (value / most) * half, pen.palette.change, { base: middle });
        line(pen, pen.left, middle, pen.left + pen.width, middle, pen.palette.soft, 0.7);
        const end = short(Number(most.toPrecision(2)));
        axis(pen, [[`+${end}`, middle - half, 7], [`−${end}`, middle + half, 1]]);
        write(pen, "ALT − REF", pen.left + 4, middle - half + 8, { size: 10, colour: pen.palette.soft });
      },
      read(at) {
        const piece = pieceAt(pieces, at);
        if (!piece) return [];
        const i = Math.floor((at - piece.start) / piece.bin), ref = short(piece.ref[i]);
        const text = both ? `REF ${ref}, ALT ${short(piece.alt[i])}, ALT − REF ${short(piece.change[i])}` : ref;
        return [`${row.label}: ${text}`];
      },
    };
  }

  // Places of the letters of a row: those of an insertion share the width of REF, after a deletion there is a gap. ALT may
  // begin at another index (altAt) than REF; the bases around it stay at their positions of the reference.
  function places(row) {
    const [at, nRef, nAlt, altAt] = row.change || [0, 0, 0, 0];
    const wide = nAlt > nRef && nRef ? nRef / nAlt : 1;
    const positions = [];
    for (let i = 0; i < row.text.length; i += 1) {
      if (i < altAt) positions.push([at - altAt + i, 1]);
      else if (i < altAt + nAlt) positions.push([at + (i - altAt) * wide, wide]);
      else positions.push([at + nRef + i - altAt - nAlt, 1]);
    }
    return positions.map(([x, width]) => [row.start + x, row.start + x + width]);
  }
  function letter(pen, base, x, y, width, height, down) {
    const { ctx } = pen;
    ctx.font = "bold 20px Arial, Helvetica, sans-serif";
    ctx.textAlign = "left";
    const size = ctx.measureText(base), w = size.actualBoundingBoxLeft + size.actualBoundingBoxRight, h = size.actualBoundingBoxAscent;
    if (height < 0.5) return;
    ctx.save();
    ctx.translate(x, down ? y + height : y);
    ctx.scale(width / w, height / h);
    ctx.fillStyle = pen.palette.bases[base] || pen.palette.soft;
    ctx.fillText(base, size.actualBoundingBoxLeft, 0);
    ctx.restore();
  }

  // A number for each base: letters of this height where there is room, else bars.
  function bases(row) {
    const values = unpack(row.values), of = places(row);
    return {
      values,
      scale: row.scale,
      partners: [],  // rows with the same scale, this one among them
      visible: (pen) => values.filter((_, i) => of[i][1] > pen.from && of[i][0] < pen.to),
      height: LABEL + LETTERS + 8,
      draw(pen, top) {
        head(pen, row.label, row.unit, top);
        const shown = of.map(([a, b], i) => [a, b, i]).filter(([a, b]) => b > pen.from && a < pen.to);
        const [low, high] = extent(this.partners.map((one) => (pen.fixed ? one.values : one.visible(pen))));
        const above = top + LABEL + 4, base = top + LABEL + LETTERS, span = high - low || 1;
        const y = (value) => base - ((value - low) / span) * (base - above), zero = y(0);
        const wide = pen.width / (pen.to - pen.from);
        pen.clip(top + LABEL, LETTERS + 4);
        for (const [a, b, i] of shown) {
          if (Number.isNaN(values[i])) continue;
          const x = pen.x(a), width = pen.x(b) - x, height = Math.abs(y(values[i]) - zero);
          if (wide >= READABLE) letter(pen, row.text[i], x + 0.5, zero, Math.max(1, width - 1), height, values[i] < 0);
          else {
            pen.ctx.fillStyle = pen.palette.change;
            pen.ctx.fillRect(x, Math.min(zero, y(values[i])), Math.max(1, width), height);
          }
        }
        pen.ctx.restore();
        line(pen, pen.left, zero, pen.left + pen.width, zero, pen.palette.soft, 0.7);
        axis(pen, low < 0 && high > 0 ? [[short(high), above], ["0", zero], [short(low), base]] : [[short(high), above], [short(low), base]]);
        if (!shown.length) write(pen, "zoom out or pan: no values here", pen.left + 6, zero - 6, { colour: pen.palette.soft });
      },
      read(at) {
        const i = of.findIndex(([a, b]) => at >= a && at < b);
        return i < 0 ? [] : [`${row.label}: ${row.text[i]} ${short(values[i])}`];
      },
    };
  }

  // The value of each single-base change, as four rows of coloured cells.
  function changes(row) {
    const values = unpack(row.values), n = row.text.length, most = Math.max(...extent([values]).map(Math.abs)) || 1;
    return {
      values,
      height: LABEL + 4 * CELL + 10,
      draw(pen, top) {
        head(pen, row.label, `${row.unit}, colours end at ±${short(most)}`, top);
        const first = Math.max(0, Math.floor(pen.from - row.start)), last = Math.min(n, Math.ceil(pen.to - row.start));
        pen.clip(top + LABEL, 4 * CELL);
        for (let i = first; i < last; i += 1) {
          const x = pen.x(row.start + i), width = Math.max(1, pen.x(row.start + i + 1) - x);
          for (let base = 0; base < 4; base += 1) {
            const value = values[4 * i + base], y = top + LABEL + base * CELL;
            if (Number.isNaN(value)) continue;
            pen.ctx.globalAlpha = Math.min(1, Math.abs(value) / most);
            pen.ctx.fillStyle = value < 0 ? pen.palette.change : pen.palette.alt;
            pen.ctx.fillRect(x, y, width + 0.4, CELL - 1);
            pen.ctx.globalAlpha = 1;
            if ("ACGT"[base] === row.text[i] && width > 3) {
              pen.ctx.fillStyle = pen.palette.soft;
              pen.ctx.fillRect(x + width / 2 - 1, y + CELL / 2 - 1.5, 2, 2);  // the base of the reference
            }
          }
        }
        pen.ctx.restore();
        [..."ACGT"].forEach((base, k) => write(pen, base, pen.left - 6, top + LABEL + k * CELL + 10, { align: "right", size: 10 }));
      },
      read(at) {
        const i = Math.floor(at) - row.start;
        if (i < 0 || i >= n) return [];
        const of = [..."ACGT"].filter((base) => base !== row.text[i]);
        const text = of.map((base) => `${base} ${short(values[4 * i + "ACGT".indexOf(base)])}`).join(", ");
        return [`${row.label}, ${row.text[i]} to ${text}`];
      },
    };
  }

  // The rows of a scene, from top to bottom.
  function make(scene) {
    const kinds = { track, bases, changes };
    const rows = [ruler()];
    if (scene.genes) rows.push(genes(scene.genes));
    if (scene.elements.length) rows.push(elements(scene.elements));
    const made = scene.rows.map((row) => kinds[row.kind](row));
    for (const row of made) {
      if (row.partners) row.partners = made.filter((one) => one === row || (row.scale && one.scale === row.scale));
    }
    return [...rows, ...made];
  }
  return { make, unpack, grouped, short, line, write };
})();
