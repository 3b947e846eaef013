// The page: one view of the time for all charts, and what moves it.

const data = JSON.parse(document.getElementById('data').textContent);
const families = data.families;
const whole = { from: 0, to: Math.max(1, ...families.map(f => f.end)) };
whole.from = -0.012 * whole.to; // so that what happens at the ends is seen whole
whole.to *= 1.012;
const view = { ...whole };
let cursor = null, brush = null, pending = false, changed = true;

const graphs = [sequence, congestionWindow, roundTrip, ...[...new Set(families.flatMap(f => f.pools.map(p => p.name)))].map(poolGraph), ladder]
	.filter(g => g !== ladder || families.some(f => f.dialogue.length));
const rows = []; // { graph, charts, figures }
const tip = document.getElementById('tip');

function element(name, attributes = {}, ...children) {
	const e = document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) key in e ? e[key] = value : e.setAttribute(key, value);
	e.append(...children);
	return e;
}

// swatch is a shape of a legend.
function swatch(kind, color) {
	const c = `var(--${color})`;
	const line = `stroke="${c}" fill="none" stroke-width="2"`;
	const hatching = { rising: 'M4 12 12 0M10 12 18 0', falling: 'M4 0 12 12M10 0 18 12', crossed: 'M4 12 12 0M10 12 18 0M4 0 12 12M10 0 18 12', dotted: 'M5 4h2M10 8h2M15 4h2' }[kind.split(' ')[1]] ?? 'M4 12 12 0M10 12 18 0';
	const inside = {
		bar: `<path d="M11 1v10M8 1h6M8 11h6" ${line}/>`,
		line: `<path d="M1 6h20" ${line}/>`,
		dashes: `<path d="M1 6h6M9.500 6h6M18 6h3" ${line}/>`,
		dots: `<path d="M1 6h2M5 6h2M9 6h2M13 6h2M17 6h2" ${line}/>`,
		diamond: `<path d="M11 1 16 6 11 11 6 6z" fill="${c}"/>`,
		cross: `<path d="M6.500 1.500l9 9M15.500 1.500l-9 9" ${line}/>`,
		triangle: `<path d="M11 1.500 16 10.500H6z" ${line}/>`,
		square: `<path d="M7 2h8v8H7z" ${line}/>`,
		up: `<path d="M11 12V2M7.500 6 11 1l3.500 5z" stroke="${c}" fill="${c}"/>`,
		down: `<path d="M11 0v10M7.500 6 11 11l3.500-5z" stroke="${c}" fill="${c}"/>`,
		flag: `<path d="M11 1.500 15 6 11 10.500 7 6z" fill="${c}" stroke="${c}"/>`,
		letter: `<text x="11" y="10.500" text-anchor="middle" font-size="11" font-weight="bold" fill="${c}">S</text>`,
		area: `<rect x="2" y="1" width="18" height="10" fill="${c}" fill-opacity="0.25"/><path d="${hatching}" stroke="${c}" fill="none" stroke-width="1.200"/>`,
	}[kind.split(' ')[0]];
	const holder = element('span');
	holder.innerHTML = `<svg width="22" height="12" aria-hidden="true">${inside}</svg>`;
	return holder.firstChild;
}

function build() {
	document.getElementById('graphs').style.setProperty('--columns', families.length);
	for (const graph of graphs) {
		const plots = element('div', { className: 'plots' }), row = { graph, charts: [], tables: [] };
		for (const family of families) {
			const chart = new Chart(graph, family, view), now = element('span', { className: 'now' });
			chart.canvas.setAttribute('aria-label', `${graph.title}, ${family.family}. The table below has the same values.`);
			chart.now = now;
			const twin = element('div', { className: 'twin', tabIndex: 0 }), summary = element('summary');
			const details = element('details', {}, summary, twin);
			details.addEventListener('toggle', () => fillTable(row, chart));
			Object.assign(chart, { details, twin, summary });
			plots.append(element('figure', {}, element('figcaption', {}, element('b', {}, family.family), now), chart.canvas, details));
			row.charts.push(chart);
			listen(chart, row);
		}
		const legend = element('ul', { className: 'legend' }, ...graph.legend.map(([label, kind, color]) => element('li', {}, swatch(kind, color), label)));
		document.getElementById('rows').append(element('section', { className: 'graph', id: 'graph-' + graph.id }, element('h3', {}, graph.title), legend, plots));
		rows.push(row);
	}
}

// Drawing, once for each frame of the screen at most.

// refresh draws soon; all of it, or only what moves with the mouse.
function refresh(all = true) {
	changed ||= all !== false;
	if (pending) return;
	pending = true;
	requestAnimationFrame(() => { pending = false; render(); });
}

function render() {
	for (const row of rows) {
		let low = Infinity, high = -Infinity;
		if (changed) for (const chart of row.charts) {
			const range = row.graph.range(chart.family, view);
			if (range) { low = Math.min(low, range[0]); high = Math.max(high, range[1]); }
		}
		if (low === Infinity) [low, high] = [row.graph.log ? 1 : 0, 10];
		if (row.graph === sequence) { const air = (high - low) * 0.05 + 1; low = Math.max(low - air, low < 1 ? 0 : -Infinity); high += air; }
		for (const chart of row.charts) {
			chart.draw([low, high], cursor, brush, changed);
			chart.now.textContent = cursor === null ? '' : row.graph.now(chart.family, cursor);
		}
	}
	if (!changed) return;
	changed = false;
	document.querySelector('#bar .range').textContent = `${span(Math.max(0, view.from))} to ${span(view.to)}`;
	clearTimeout(render.tables);
	render.tables = setTimeout(() => { for (const row of rows) for (const chart of row.charts) fillTable(row, chart); }, 120);
}

const tableRows = 400;

function fillTable(row, chart) {
	const t = row.graph.table(chart.family, view);
	chart.summary.textContent = `Table: ${group(t.count)} ${t.count === 1 ? 'row' : 'rows'} in this range of time`;
	if (!chart.details.open) return;
	const body = element('tbody');
	for (let i = 0; i < Math.min(t.count, tableRows); i++) {
		body.append(element('tr', {}, ...t.row(i).map((v, k) => element('td', { className: t.head[k][1] ? 'word' : '' }, String(v)))));
	}
	const head = element('thead', {}, element('tr', {}, ...t.head.map(([text, word]) => element('th', { scope: 'col', className: word ? 'word' : '' }, text))));
	chart.twin.replaceChildren(element('table', {}, head, body));
	if (t.count > tableRows) chart.twin.append(element('p', {}, `The first ${tableRows} of ${group(t.count)}; zoom in for the others.`));
}

// The view of the time.

function show(from, to) {
	const least = Math.max(whole.to / 1e6, 0.002);
	if (to - from < least) { const middle = (from + to) / 2; from = middle - least / 2; to = middle + least / 2; }
	if (to - from >= whole.to - whole.from) [from, to] = [whole.from, whole.to];
	if (from < whole.from) [from, to] = [whole.from, to + whole.from - from];
	if (to > whole.to) [from, to] = [from - (to - whole.to), whole.to];
	view.from = Math.max(from, whole.from);
	view.to = Math.min(to, whole.to);
	refresh();
}

const zoom = (factor, at = (view.from + view.to) / 2) => show(at - (at - view.from) * factor, at + (view.to - at) * factor);
const pan = share => show(view.from + share * (view.to - view.from), view.to + share * (view.to - view.from));
const reset = () => show(whole.from, whole.to);

function point(chart, hit, clientX, clientY) {
	if (!hit) { tip.hidden = true; return; }
	const lines = hit.text();
	tip.replaceChildren(element('b', {}, lines[0]), lines.slice(1).join('\n'));
	tip.hidden = false;
	const box = tip.getBoundingClientRect();
	let x = clientX + 14, y = clientY + 14;
	if (x + box.width > innerWidth - 4) x = Math.max(4, clientX - box.width - 14);
	if (y + box.height > innerHeight - 4) y = Math.max(4, clientY - box.height - 14);
	tip.style.left = x + 'px';
	tip.style.top = y + 'px';
}

function listen(chart, row) {
	const canvas = chart.canvas;
	let down = null, panning = null;
	const place = e => { const box = canvas.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top]; };
	canvas.addEventListener('pointerdown', e => {
		if (e.button !== 0) return;
		const [x] = place(e);
		if (e.shiftKey) panning = { x, from: view.from, to: view.to }; else down = x;
		canvas.setPointerCapture(e.pointerId);
		tip.hidden = true;
	});
	canvas.addEventListener('pointermove', e => {
		const [x, y] = place(e);
		cursor = Math.min(Math.max(chart.time(x), whole.from), whole.to);
		if (panning) {
			const by = (panning.x - x) / chart.plotWidth * (panning.to - panning.from);
			show(panning.from + by, panning.to + by);
		} else if (down !== null && Math.abs(x - down) > 4) {
			brush = [chart.time(down), cursor];
		} else {
			point(chart, row.graph.hit(chart.family, chart, x, y), e.clientX, e.clientY);
		}
		refresh(false);
	});
	const up = () => {
		if (brush) show(Math.min(...brush), Math.max(...brush));
		down = panning = brush = null;
		refresh();
	};
	canvas.addEventListener('pointerup', up);
	canvas.addEventListener('pointercancel', () => { brush = null; up(); });
	canvas.addEventListener('pointerleave', () => { if (down === null) { cursor = null; tip.hidden = true; refresh(false); } });
	canvas.addEventListener('dblclick', reset);
	// The wheel scrolls the page, unless this chart was chosen or a key is held.
	canvas.addEventListener('wheel', e => {
		if (!(e.ctrlKey || e.altKey || e.shiftKey || document.activeElement === canvas)) return;
		e.preventDefault();
		const by = e.deltaY || e.deltaX;
		if (e.shiftKey) pan(Math.sign(by) * 0.15); else zoom(by < 0 ? 0.8 : 1.25, chart.time(place(e)[0]));
	}, { passive: false });
	canvas.addEventListener('keydown', e => {
		if (e.ctrlKey || e.metaKey || e.altKey) return;
		const step = by => {
			const times = row.graph.times(chart.family);
			if (!times.length) return;
			let i = lower(times, cursor ?? view.from);
			if (by > 0 && cursor !== null) while (i < times.length && times[i] <= cursor) i++;
			if (by < 0) i--;
			i = Math.min(Math.max(i, 0), times.length - 1);
			cursor = times[i];
			if (cursor < view.from || cursor > view.to) { const half = (view.to - view.from) / 2; show(cursor - half, cursor + half); }
			render();
			const x = chart.x(cursor), found = row.graph.hit(chart.family, chart, x + 0.01, row.graph === sequence ? middleOf(chart, i) : chart.height / 2);
			const box = canvas.getBoundingClientRect();
			point(chart, found, box.left + x, box.top + chart.height / 2);
		};
		const action = { '+': () => zoom(0.7), '=': () => zoom(0.7), '-': () => zoom(1 / 0.7), ArrowUp: () => zoom(0.7), ArrowDown: () => zoom(1 / 0.7), ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), '0': reset, Home: reset, Escape: reset, n: () => step(1), p: () => step(-1) }[e.key];
		if (!action) return;
		e.preventDefault();
		action();
	});
	canvas.addEventListener('blur', () => { tip.hidden = true; });
}

// middleOf is where a segment is drawn, for who goes from one to the next.
function middleOf(chart, i) {
	const s = connectionOf(chart.family).segments;
	return chart.y(s.d[i] === selected.direction ? s.s[i] + s.l[i] / 2 : s.a[i]);
}

// The bar above the graphs.

function bar() {
	const b = document.getElementById('bar'), button = (text, label, action) => element('button', { type: 'button', title: label, 'aria-label': label, onclick: action }, text);
	const most = Math.max(...families.map(f => f.connections.length));
	const connections = element('select', { onchange: e => { choose(+e.target.value, null); around(+e.target.value); } });
	for (let i = 0; i < most; i++) {
		const c = families.map(f => f.connections[i]).find(c => c);
		connections.append(element('option', { value: i }, `${i + 1}: ${c.local} – ${c.remote}`));
	}
	const directions = element('select', { onchange: e => choose(selected.connection, +e.target.value) }, element('option', { value: 0 }, 'from this stack'), element('option', { value: 1 }, 'to this stack'));
	const themes = element('select', { onchange: e => dress(e.target.value) }, ...['as the system', 'light', 'dark'].map(t => element('option', {}, t)));
	b.append(button('−', 'Zoom out', () => zoom(1 / 0.6)), button('+', 'Zoom in', () => zoom(0.6)), button('◂', 'Earlier', () => pan(-0.3)), button('▸', 'Later', () => pan(0.3)), button('Whole run', 'Show the whole run', reset),
		element('span', { className: 'range' }));
	if (most > 1) b.append(element('label', {}, 'Connection', connections));
	b.append(element('label', {}, 'Data', directions), element('span', { className: 'space' }), element('label', {}, 'Colours', themes));
	b.hidden = false;
	b.after(element('p', { className: 'hint' }, 'Drag over a graph to zoom, all go together. Wheel with Ctrl, or on a graph that was clicked: zoom; with Shift: move. Keys on a graph: + − ← → 0, n and p for the next and the previous point.'));
	bar.connections = connections;
	bar.directions = directions;
	try { themes.value = localStorage.getItem('nxduo-colours') ?? 'as the system'; } catch { /* a file may have no storage */ }
	dress(themes.value);
}

function dress(name) {
	if (name === 'light' || name === 'dark') document.documentElement.dataset.theme = name; else delete document.documentElement.dataset.theme;
	try { localStorage.setItem('nxduo-colours', name); } catch { /* then not */ }
	readTheme();
	refresh();
}

// choose shows the nth connection of each family, and a direction of it: the
// one with more data, if none is asked for.
function choose(n, direction) {
	selected.connection = n;
	if (direction === null) {
		const c = families.map(f => f.connections[n]).find(c => c);
		direction = c ? c.most : 0;
	}
	selected.direction = direction;
	bar.connections.value = n;
	bar.directions.value = direction;
	refresh();
}

// around shows the time of the nth connection of all families.
function around(n) {
	const all = families.map(f => f.connections[n]).filter(c => c && c.segments.t.length);
	if (!all.length) return;
	const from = Math.min(...all.map(c => c.segments.t[0])), to = Math.max(...all.map(endOf)), air = (to - from) * 0.03;
	show(from - air, to + air);
}

// busiest is the connection with most segments.
function busiest() {
	let best = 0, most = -1;
	for (const f of families) f.connections.forEach((c, i) => { if (c.segments.t.length > most) { most = c.segments.t.length; best = i; } });
	return best;
}

// What a finding is about, in the graphs.
function findings() {
	for (const b of document.querySelectorAll('.findings .show')) {
		b.hidden = false;
		b.addEventListener('click', () => {
			const at = +b.dataset.at, until = Math.max(+b.dataset.until, at), margin = Math.max((until - at) * 0.5, (whole.to - whole.from) * 0.03, 0.5);
			const family = families.find(f => f.family === b.dataset.family), n = family.connections.findIndex(c => c.id === +b.dataset.connection);
			if (n >= 0) choose(n, null);
			show(at - margin, until + margin);
			cursor = at;
			document.getElementById('graphs').scrollIntoView({ behavior: 'smooth' });
		});
	}
}

function copying() {
	const b = document.getElementById('copy');
	if (!navigator.clipboard) return;
	b.hidden = false;
	b.addEventListener('click', async () => {
		await navigator.clipboard.writeText(document.getElementById('command').textContent);
		b.textContent = 'Copied';
	});
}

if (families.length) {
	build();
	bar();
	choose(busiest(), null);
	findings();
	new ResizeObserver(refresh).observe(document.getElementById('rows'));
	matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { readTheme(); refresh(); });
}
copying();
