// The moving part of the wall: a shape for each job, which moves from queued through running
// to done. Events move it; the figures come with the view. There are at most MOST shapes: a
// job that runs or ends replaces one that waits, and the figures still count all.
const MOST = 300, LEAVE = 1400, DROP = 1100; // LEAVE, DROP: ms for which a job that has ended is shown
const waits = new Set(["scheduled", "queued", "retrying", "waiting"]);
const ends = new Set(["succeeded", "failed", "cancelled"]);

let measure;
export const settled = () => measure?.();

export function start({ hub }) {
  const canvas = document.getElementById("stage"), pen = canvas.getContext("2d");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const shapes = new Map(); // id → { queue, state, x, y, tx, ty, since, part }
  let lanes = new Map(), colours = {}, unit = 16, frame = 0, before = 0;

  measure = () => {
    const box = canvas.parentElement.getBoundingClientRect(), ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(box.width * ratio) || canvas.height !== Math.round(box.height * ratio)) {
      canvas.width = Math.round(box.width * ratio);
      canvas.height = Math.round(box.height * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    lanes = new Map();
    for (const lane of document.querySelectorAll("[data-queue]")) {
      const r = lane.getBoundingClientRect();
      if (!r.height) continue; // no room on a low screen
      const cells = [...lane.children].slice(1).map((c) => c.getBoundingClientRect()).map((c) => ({ left: c.left - box.left, right: c.right - box.left }));
      lanes.set(lane.dataset.queue, { top: r.top - box.top, height: r.height, cells, queued: +lane.dataset.queued, running: +lane.dataset.running });
    }
    const height = lanes.values().next().value?.height ?? 100;
    unit = Math.max(10, Math.min(26, height / 5));
    for (const tile of document.querySelectorAll("#wall-rail .tile")) colours[tile.dataset.state] = getComputedStyle(tile, "::after").backgroundColor;
    wake();
  };

  // Places of all shapes: waiting jobs fill their zone from the right, in columns. A running
  // job is placed by its progress; without progress it moves slower and slower.
  function place(now) {
    const heaps = new Map();
    for (const s of shapes.values()) {
      const lane = lanes.get(s.queue);
      if (!lane || ends.has(s.state)) continue;
      const zone = waits.has(s.state) ? 0 : 1, cell = lane.cells[zone], key = s.queue + zone;
      const rows = Math.max(1, Math.floor((lane.height - unit) / (unit * 1.35)));
      const n = heaps.get(key) ?? 0;
      heaps.set(key, n + 1);
      const room = cell.right - cell.left - unit * 6, columns = Math.max(1, Math.floor(room / (unit * 1.35)));
      const row = n % rows, column = Math.floor(n / rows);
      s.over = column >= columns;
      s.ty = lane.top + lane.height / 2 + (row - (Math.min(rows, 99) - 1) / 2) * unit * 1.35;
      s.tx = zone === 0 ? cell.right - unit * (1.5 + column * 1.35) : cell.left + unit * 6 + room * (s.part ?? (still.matches ? Math.min(.9, column / columns) : .8 * (1 - Math.exp((s.since - now) / 9000))));
    }
  }

  function shape(s, x, y, r) {
    pen.beginPath();
    switch (s.state) {
      case "running": pen.moveTo(x - r * .8, y - r); pen.lineTo(x + r, y); pen.lineTo(x - r * .8, y + r); pen.closePath(); return pen.fill();
      case "retrying": pen.moveTo(x, y - r * 1.15); pen.lineTo(x + r * 1.15, y); pen.lineTo(x, y + r * 1.15); pen.lineTo(x - r * 1.15, y); pen.closePath(); return pen.fill();
      case "succeeded": pen.arc(x, y, r, 0, 7); return pen.fill();
      case "failed": pen.lineWidth = r * .6; pen.moveTo(x - r * .8, y - r * .8); pen.lineTo(x + r * .8, y + r * .8); pen.moveTo(x + r * .8, y - r * .8); pen.lineTo(x - r * .8, y + r * .8); return pen.stroke();
      case "cancelled": return pen.fillRect(x - r, y - r * .28, r * 2, r * .56);
      default: pen.lineWidth = r * .5; pen.rect(x - r * .75, y - r * .75, r * 1.5, r * 1.5); return pen.stroke();
    }
  }

  function draw(now) {
    frame = 0;
    const step = still.matches ? 1 : 1 - Math.exp(-Math.min(100, now - before) / 130);
    before = now;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    place(now);
    let moving = false, running = 0;
    for (const [id, s] of shapes) {
      const lane = lanes.get(s.queue), gone = ends.has(s.state);
      if (!lane) { if (gone) shapes.delete(id); continue; }
      let alpha = 1;
      if (gone) {
        const age = (now - s.since) / (s.state === "succeeded" ? LEAVE : DROP);
        if (age >= 1) { shapes.delete(id); continue; }
        moving = true;
        alpha = 1 - Math.max(0, age - .5) * 2;
        if (s.state === "succeeded") s.tx = lane.cells[2].right - unit * 7;
        else { s.tx = lane.cells[2].left + unit * 2; s.ty = lane.top + lane.height - unit; }
      }
      if (s.over) continue;
      if (s.state === "running") running++;
      if (s.x === undefined) [s.x, s.y] = [still.matches ? s.tx : lane.cells[0].left, s.ty];
      s.x += (s.tx - s.x) * step;
      s.y += (s.ty - s.y) * step;
      moving ||= (s.state === "running" && s.part === undefined && !still.matches) || Math.abs(s.tx - s.x) + Math.abs(s.ty - s.y) > .5;
      pen.globalAlpha = alpha;
      pen.fillStyle = pen.strokeStyle = colours[s.state] ?? colours.queued;
      shape(s, s.x, s.y, unit / 2);
    }
    pen.globalAlpha = 1;
    canvas.dataset.shapes = shapes.size;
    canvas.dataset.running = running;
    if (moving) wake();
  }

  const wake = () => { frame ||= requestAnimationFrame(draw); };

  function makeRoom(state) {
    if (waits.has(state)) return false;
    for (const [id, s] of shapes) if (waits.has(s.state)) return shapes.delete(id);
    return false;
  }

  function see(id, queue, state, progress) {
    if (!state) return;
    let s = shapes.get(id);
    if (!s) {
      if (ends.has(state) || (shapes.size >= MOST && !makeRoom(state))) return;
      shapes.set(id, s = { queue, since: 0 });
    }
    if (s.state !== state) s.since = performance.now();
    s.state = state;
    if (state !== "running") s.part = undefined;
    else if (typeof progress?.percent === "number") s.part = progress.percent / 100 * .9;
    wake();
  }

  hub.subscribe({ all: true, snapshot: true, progress: "latest" }, (m) => {
    if (m.type === "gap" || (m.type === "subscribed" && m.recovered === false)) shapes.clear();
    else if (m.type === "state") see(m.job, m.data.queue, m.data.state, m.data.progress);
    else if (m.type === "job.progress") see(m.job, m.queue, "running", m.data);
    else if (m.type?.startsWith("job.")) see(m.job, m.queue, m.data?.state, m.data?.progress);
  });

  for (const type of ["resize", "theme"]) addEventListener(type, measure);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", measure);
  measure();
}
