// @ts-check
// The sentences of live pictures: sound, the way they come, talking.

export const LIVE = /** @type {const} */ ({
  'live.sound.on': ['打开声音', 'Sound on'],
  'live.sound.off': ['关闭声音', 'Sound off'],
  'live.sound.recordOnly': ['声音只在录像里(摄像机用 {codec} 编码)', 'Sound is in recordings only (the camera sends {codec})'],
  'live.sound.none': ['没有声音', 'No sound'],
  'live.sound.notHere': ['这条路送不了这台摄像机的声音({codec});录像里有', 'This way cannot carry the camera’s sound ({codec}); recordings have it'],
  'live.socket': ['经网页端口', 'By web port'],
  'live.socket.why': ['浏览器到不了视频端口,画面改由网页端口送来,会慢一些。{why}', 'The browser cannot reach the video port, so the picture comes by the web port, a little later. {why}'],
  'live.ice.none': ['浏览器没有可用的网络地址。', 'The browser has no network address to use.'],
  'live.ice.pairs': ['试过:{pairs}。请检查防火墙是否放行视频端口(UDP 和 TCP)。', 'Tried: {pairs}. Check that the firewall lets the video port through (UDP and TCP).'],
  'live.ice.pair': ['{protocol} {address}({state})', '{protocol} {address} ({state})'],
  'live.ice.failed': ['没有回应', 'no answer'],
  'live.ice.waiting': ['未试', 'not tried'],
  'live.ice.in-progress': ['没有等到回应', 'no answer yet'],
  'live.ice.succeeded': ['通', 'answered'],
  'live.noSocket': ['这个浏览器也不能用网页端口看画面。', 'Nor can this browser show pictures by the web port.'],
});
