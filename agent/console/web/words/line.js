// @ts-check
// Sentences about the line to the centre: who spends it, and how good it is.

export const LINE = /** @type {const} */ ({
  'line': ['线路占用', 'Who uses the line'],
  'line.up': ['上行', 'Up'],
  'line.down': ['下行', 'Down'],
  'line.of': ['{now} / {most}', '{now} of {most}'],
  'line.class': ['用途', 'For'],
  'line.now': ['现在', 'Now'],
  'line.minute': ['近一分钟', 'Last minute'],
  'line.class.control': ['告警和控制', 'Alarms and control'],
  'line.class.conference': ['会商声音', 'Conference sound'],
  'line.class.share': ['会商画面', 'Conference pictures'],
  'line.class.camera': ['调看画面', 'Called-up cameras'],
  'line.class.wall': ['视频墙', 'Video wall'],
  'line.class.clips': ['告警录像', 'Films of alarms'],
  'line.class.backlog': ['传感器读数', 'Readings'],
  'line.reserve': ['给会商留着 {rate}；再调看一路还有 {free}。排在前面的先走，后面的等。', '{rate} are kept for conferences; {free} are free for one more picture. What stands first goes first, the rest waits.'],
  'line.flows': ['正在上传的画面', 'Pictures going up'],
  'line.flow': ['{now}，算 {held} · {span}', '{now}, counted as {held} · {span}'],
  'line.refused': ['线路满，没有给出画面 {refused} 次，让出 {yielded} 次', 'The line was full: {refused} pictures were refused, {yielded} gave way'],
  'line.smaller': ['看小画面', 'Watch the smaller picture'],
  'problem.line.full': ['工作站的线路满了：这路画面要 {want} M，{up} M 里只剩 {free} M', 'The station’s line is full: this needs {want} Mbit/s, {free} of {up} are left'],
  'problem.line.full.hint': ['看小画面，或先关掉另一路。', 'Watch the smaller picture, or close another one.'],
  'problem.line.yielded': ['线路让给了更要紧的用途', 'The line was needed for something that comes first'],
  'problem.line.yielded.hint': ['看小画面，或等线路空下来。', 'Watch the smaller picture, or try again later.'],
});
