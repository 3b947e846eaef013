// What a reader does with a report, for TestPageInBrowser: it runs behind the
// page's own program, and leaves what it saw as text of the page.
{
	const seen = { errors: [] };
	window.addEventListener('error', e => seen.errors.push(e.message));
	HTMLElement.prototype.setPointerCapture = () => {}; // the events are not a mouse's
	const canvases = [...document.querySelectorAll('canvas')];
	const range = () => { render(); return document.querySelector('#bar .range').textContent; };
	const fire = (canvas, type, x, y, more = {}) => {
		const box = canvas.getBoundingClientRect();
		canvas.dispatchEvent(new PointerEvent(type, { bubbles: true, cancelable: true, clientX: box.left + x, clientY: box.top + y, pointerId: 1, ...more }));
	};
	const key = (canvas, name) => canvas.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true }));
	const tipText = () => tip.hidden ? '' : tip.textContent;
	const drawn = canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(v => v !== 0);

	seen.whole = range();
	seen.canvases = canvases.length;
	seen.drawn = canvases.every(drawn);
	seen.scales = rows.every(r => r.charts.every(c => c.scale[0] === r.charts[0].scale[0] && c.scale[1] === r.charts[0].scale[1]));

	const chart = rows[0].charts[0], again = sequenceOf(connectionOf(chart.family)).again[0];
	fire(chart.canvas, 'pointermove', chart.x(again[0]), chart.y((again[1] + again[2]) / 2));
	seen.hover = tipText();
	seen.values = (render(), rows.flatMap(r => r.charts.map(c => c.now.textContent)));

	fire(chart.canvas, 'pointermove', chart.x(flagsOf(chart.family)[0].at), 6);
	seen.flag = tipText();

	fire(chart.canvas, 'pointerdown', 150, 100, { button: 0 });
	fire(chart.canvas, 'pointermove', 300, 100);
	fire(chart.canvas, 'pointerup', 300, 100);
	seen.dragged = range();
	seen.together = rows.every(r => r.charts.every(c => c.view.from === chart.view.from && c.view.to === chart.view.to));
	const box = canvases[1].getBoundingClientRect();
	canvases[1].dispatchEvent(new WheelEvent('wheel', { deltaY: -100, clientX: box.left + 200, clientY: box.top + 50, cancelable: true }));
	seen.wheelAlone = range();
	canvases[1].dispatchEvent(new WheelEvent('wheel', { deltaY: -100, ctrlKey: true, clientX: box.left + 200, clientY: box.top + 50, cancelable: true }));
	seen.wheel = range();
	key(canvases[2], 'ArrowRight');
	seen.moved = range();
	key(canvases[2], '0');
	seen.reset = range();
	fire(chart.canvas, 'pointerleave', 0, 0);
	cursor = null;
	key(chart.canvas, 'n');
	seen.first = tipText();
	key(chart.canvas, 'n');
	seen.second = tipText();
	key(chart.canvas, 'p');
	seen.back = tipText();

	for (const r of rows) for (const c of r.charts) { c.details.open = true; fillTable(r, c); }
	seen.tables = rows.flatMap(r => r.charts.map(c => [c.summary.textContent, c.twin.querySelectorAll('tbody tr').length]));
	document.querySelector('.findings .show').click();
	seen.shown = range();

	const light = getComputedStyle(document.body).backgroundColor;
	dress('dark');
	seen.dark = getComputedStyle(document.body).backgroundColor !== light && theme.back !== '#ffffff';
	dress('as the system');
	choose(0, 1);
	render();
	seen.otherWay = sequenceOf(connectionOf(chart.family)).data.length;

	document.body.append(Object.assign(document.createElement('pre'), { id: 'seen', textContent: JSON.stringify(seen) }));
}
