// @ts-check
// The words of the lines to the centre and to other targets.

export const LINES = /** @type {const} */ ({
  'target': ['转发到 {name}', 'Forwarded to {name}'],
  'uplink.rate': ['每秒送出', 'Per second'],
  'uplink.sent': ['启动以来送出 {bytes}', '{bytes} sent since the start'],
  'uplink.held': ['上级要求放慢：{lane}。', 'The receiver asks for a slower pace: {lane}.'],
  'uplink.second.up': ['主线路断开，告警正走备用线路。', 'The first line is down; alarms go by the second one.'],
  'uplink.second.idle': ['备用线路待命，用过 {count} 次。', 'The second line stands by; it has served {count} times.'],
});
