# The north gate of an estate: the barrier opens for a car, a courier rides by.

function title() { return "小区北门" }
function seconds() { return 8 }

function tree(x, y, s, c1, c2) {
	line(x, y, x, y - 46 * s, "#5a4632", 7 * s)
	circle(x - 16 * s, y - 56 * s, 22 * s, c2); circle(x + 17 * s, y - 58 * s, 22 * s, c2); circle(x, y - 78 * s, 25 * s, c1); circle(x - 4 * s, y - 58 * s, 22 * s, c1)
}

function building(x, y, w, h, fill,  i, j) {
	rect(x, y - h, w, h, fill)
	for (j = y - h + 9; j < y - 12; j += 17)
		for (i = x + 8; i < x + w - 11; i += 19) {
			rect(i, j, 10, 9, "#6f8494"); rect(i, j + 9, 10, 2, "#e9e6de")
		}
}

function background(  i) {
	put("<defs><linearGradient id='sky' x1='0' y1='0' x2='0' y2='1'><stop offset='0' stop-color='#9fc0da'/><stop offset='1' stop-color='#e6edf0'/></linearGradient>")
	put("<linearGradient id='road' x1='0' y1='0' x2='0' y2='1'><stop offset='0' stop-color='#85888a'/><stop offset='1' stop-color='#66696c'/></linearGradient></defs>")
	rect(0, 0, 640, 200, "url(#sky)")
	building(30, 168, 104, 140, "#cdbfae"); building(150, 168, 84, 112, "#bfb3a4"); building(430, 168, 112, 150, "#d2c6b6"); building(556, 168, 90, 118, "#c3b8a9")
	tree(262, 172, .75, "#6e9a58", "#5d8a4b"); tree(398, 172, .8, "#6e9a58", "#5d8a4b"); tree(14, 176, .9, "#6e9a58", "#5d8a4b")
	# the wall, and the pavement in front of it
	rect(0, 168, 640, 42, "#d9d2c3"); rect(0, 164, 640, 6, "#8e5b46"); rect(0, 202, 640, 8, "#a69d8d")
	rect(0, 210, 640, 150, "url(#road)")
	rect(0, 210, 640, 14, "#b5b2aa"); rect(0, 224, 640, 3, "#8a8780")
	# the opening, with the road that goes in
	rect(236, 150, 214, 60, "#7d8183"); poly("268,150 416,150 450,210 236,210", "#787b7e"); rect(268, 118, 148, 34, "#dbe4e8")
	building(300, 150, 74, 60, "#c9bdae"); tree(284, 152, .5, "#7aa363", "#689354"); tree(400, 152, .5, "#7aa363", "#689354")
	# the arch
	rect(216, 92, 22, 118, "#b9a58d"); rect(448, 92, 22, 118, "#b9a58d"); rect(206, 72, 274, 26, "#8e3b2f"); rect(200, 66, 286, 7, "#6f2c23")
	text(343, 92, 18, "#ffe9b8", "幸 福 家 园 · 北 门", "text-anchor='middle' font-weight='bold'")
	# the guard's hut
	rect(482, 128, 96, 98, "#e8e6df", "stroke='#a9a69c'"); rect(476, 120, 108, 10, "#3f6b8c")
	rect(490, 140, 50, 38, "#39566a"); rect(493, 143, 44, 32, "#6f93ab"); rect(548, 142, 24, 84, "#8a9aa3"); rect(552, 148, 16, 30, "#6f93ab")
	rect(492, 186, 44, 16, "#3f6b8c"); text(514, 199, 13, "#fff", "值班室", "text-anchor='middle'")
	# lane marks
	for (i = -20; i < 640; i += 74) poly(sprintf("%d,300 %d,300 %d,306 %d,306", i, i + 40, i + 36, i - 5), "#dcdcd6")
	poly("236,210 450,210 470,226 214,226", "#7b7e80")
	for (i = 0; i < 10; i++) poly(sprintf("%d,228 %d,228 %d,256 %d,256", 208 + i * 27, 222 + i * 27, 219 + i * 27 + (i - 4.5) * 2, 204 + i * 27 + (i - 4.5) * 2), "#e0e0da", "opacity='.85'")
}

# arm is the barrier, up is how far it is open.
function arm(up,  a, i, x, y) {
	a = -up * 80 * pi() / 180
	rect(458, 176, 18, 50, "#d7782a", "rx='2'"); rect(461, 181, 12, 9, "#2b2b2b"); circle(467, 185.5, 2.6, up > .9 ? "#39d353" : "#ff3b30")
	for (i = 0; i < 11; i++) {
		x = 464 - i * 22 * cos(a); y = 186 + i * 22 * sin(a)
		line(x, y, x - 22 * cos(a), y + 22 * sin(a), i % 2 ? "#ffffff" : "#d8342b", 6, "style='stroke-linecap:butt'")
	}
}

function scene(t,  up, x, y, l, d, b) {
	up = ramp(t, 1.2, 2.2) - ramp(t, 6.2, 7.2)
	# the guard looks out, and salutes
	circle(514, 157 - 1.5 * sin(t * pi() / 4), 8, "#d9a986"); put("<path d='M504 154 A10 9 0 0 1 524 154 Z' fill='#24364d'/>"); rect(503, 164, 22, 12, "#2f4a68", "rx='4'")
	# somebody comes home
	group(sprintf("opacity='%.2f'", 1 - ramp(t, 7.3, 7.9)))
	person(mix(-20, 226, t / 8), 224, 58, t * 7.85, 1, "#5b7f5e", "#34383e", "#a8553a")
	end()
	# a car comes out of the estate: it grows, and turns to the left
	d = ramp(t, 2.2, 4.6)
	if (t < 7.8 && d < 1) {
		l = mix(58, 150, d)
		group(sprintf("transform='translate(343 %.2f) scale(%.4f)' opacity='%.2f'", mix(170, 252, d), l / 150, 1 - ramp(t, 4.4, 4.6)))
		front()
		end()
	}
	arm(up)
	# one that passes along the road
	x = mix(-190, 830, (t - 4.4) / 3.2)
	if (t > 4.4 && t < 7.6) car(x, 300, 176, 1, "#e7e9ea", t * 9, 0)
	if (t > 4.4 && t < 7.8) {
		group(sprintf("opacity='%.2f'", ramp(t, 4.4, 4.6)))
		x = mix(343, -210, ramp(t, 4.4, 7.6))
		car(x, 268, 168, -1, "#8c2f2b", -t * 7, 0)
		end()
	}
	# the courier
	b = mix(740, -90, t / 8)
	bike(b, 342, 1.15, -1, "#f0b323", -t * 9)
}

# front is the car as it comes towards us, 150 wide.
function front() {
	ellipse(0, 2, 76, 8, "#000", "opacity='.4'")
	put("<path d='M-72 -8 Q-76 -40 -60 -50 L-44 -84 Q0 -92 44 -84 L60 -50 Q76 -40 72 -8 Z' fill='#8c2f2b'/>")
	put("<path d='M-50 -52 L-39 -80 Q0 -86 39 -80 L50 -52 Z' fill='#22313b'/><path d='M-30 -54 L-20 -80 L0 -82 L-12 -54 Z' fill='#fff' opacity='.12'/>")
	put("<path d='M-68 -36 L-40 -32 L-42 -24 L-68 -26 Z' fill='#fff4cf'/><path d='M68 -36 L40 -32 L42 -24 L68 -26 Z' fill='#fff4cf'/>")
	rect(-34, -33, 68, 10, "#1d1f21", "rx='3'"); rect(-20, -19, 40, 10, "#1f4fa3", "rx='1'")
	rect(-74, -14, 24, 16, "#151617", "rx='4'"); rect(50, -14, 24, 16, "#151617", "rx='4'")
}
