// The records that the server sends, as the console reads them. They mirror the
// JSON of the program's vocabulary (agent/station); only ever add.

export type AnswerKind = 'received' | 'real' | 'false' | 'test' | 'called' | 'undo';
export type Values = Record<string, boolean | number | string>;

export interface Answer { kind: AnswerKind; by: string; name: string; at: string; note?: string; undone?: boolean }
export interface Alarm {
  id: string; node: string; kind: string; severity: 'critical' | 'major' | 'minor';
  state: 'raised' | 'acknowledged' | 'cleared';
  sensor?: string; name: string; place?: string;
  raisedAt: string; lastAt: string; count: number; deviceTime?: string; late?: boolean; waited?: boolean; values?: Values;
  returnedAt?: string; clearedAt?: string; answers?: Answer[]; before?: number; cameras?: string[]; clip?: string;
  centreAt?: string; centreSeenAt?: string; centreTakenAt?: string; centreSeenBy?: string; centreTakenBy?: string; centreLapsedAt?: string; centreLapsedBy?: string;
  why?: Signal | null; seq?: number; skew?: number; important?: boolean; test?: boolean; shelf?: Shelf | null; suppressed?: string;
  chattering?: boolean; worked?: number; incident?: string; unseen?: number; takenBy?: Taker | null; notes?: Note[];
}
/** A signal that raised an alarm, with the rule behind it; durations are nanoseconds. */
export interface Signal {
  kind: string; active: boolean; field?: string; value?: boolean | number | string; op?: string; limit?: boolean | number | string;
  expr?: string; rule?: string; version?: number; timing?: Timing;
}
export interface Timing { for?: number; off?: number; count?: number; within?: number; severity?: string; schedule?: string }
export interface Shelf { by: string; name: string; at: string; until: string; why: string }
export interface Taker { by: string; name: string; seat?: string; at: string }
export interface Note { by: string; name: string; at: string; text: string }
export interface Telling {
  id: string; contact?: string; name: string; channel?: string; kind: string; at: string;
  state: 'waiting' | 'sent' | 'delivered' | 'answered' | 'failed'; stateAt?: string; tries?: number; problem?: { code?: string; message?: string; detail?: string; hint?: string } | null;
}
export interface Call { by: string; name: string; at: string; to: string; reached: boolean; note?: string }
export interface Response {
  alarm: string; tellings?: Telling[] | null; calls?: Call[]; next?: string; nextAt?: string; step: number; parent?: boolean; closed?: boolean; answeredAt?: string; taken?: boolean; takenUntil?: string;
}
export interface Person { relation: string; name: string; phone: string; age?: number; note?: string }
export interface People { sensor: string; flat?: string; list?: Person[] | null }
export interface Position { plan: string; x: number; y: number }
export interface Service { mode: 'maintenance' | 'test'; since: string; until: string; by: string; name: string; why?: string }
export interface Clip {
  id: string; node: string; camera: string; alarm?: string; status: 'pending' | 'ready' | 'failed';
  from: string; to: string; start?: string; end?: string; gaps?: number; size?: number; cause?: string; uploaded?: string;
}
export interface Camera {
  id: string; node?: string; name: string; place?: string; url?: string; username?: string; hasPassword?: boolean; record: boolean; position?: Position | null;
  sub?: string; transport?: string; fingerprint?: string; onDemand?: boolean; mute?: boolean; recording?: string; recordHours?: Span[]; recordSub?: boolean;
  onvif?: string; profile?: string; subProfile?: string; recorder?: string; channel?: string; owner?: string; ownerName?: string; roles?: string[];
  withheld?: boolean;
}
export interface SavedWall { id: string; name: string; layout: number; cameras: string[] }
export interface CameraGroup { id: string; name: string; cameras: string[] }
export interface TourStep { camera?: string; group?: string; dwell?: number; preset?: string }
export interface Tour { id: string; name: string; steps: TourStep[]; dwell: number; confirm?: '' | 'step' | 'round'; hours?: Span[]; every?: number }
export interface TourView { tour: Tour; due: boolean; open: boolean; last?: string; lastBy?: string }
export interface PatrolView { camera: string; name: string; from: string; to: string; seconds: number; dark?: number; times?: number; result?: '' | 'normal' | 'note' | 'report'; note?: string; at?: string }
export interface PatrolBreak { alarm?: string; from: string; to?: string }
export interface Patrol {
  id: string; tour: string; tourName: string; by: string; name: string; seat?: string; unattended?: boolean; started: string; ended?: string;
  complete?: boolean; views: PatrolView[]; breaks?: PatrolBreak[]; unseen?: number;
}
export interface Recorder { id: string; name: string; place?: string; kind: 'onvif' | 'hikvision' | 'dahua' | 'uniview' | 'other'; host: string; username?: string; hasPassword?: boolean; onvif?: string; channels?: number; main?: string; sub?: string }
export interface Finding { code: string; severity: 'ok' | 'info' | 'warn' | 'bad'; stream?: string; message: string; hint?: string; args?: Record<string, string> }
export interface CameraState {
  camera: string; node?: string;
  status: 'connecting' | 'online' | 'offline' | 'unauthorized' | 'no-slot' | 'unsupported' | 'idle';
  since: string; cause?: string; hint?: string; codec?: string; width?: number; height?: number;
  sound?: string; talk?: string; talking?: { account?: string; name: string; until: string }; clockOffset?: number; sub?: { status?: string; codec?: string; width?: number; height?: number };
}
export interface ViewingWay { protocol: string; station: string; viewer: string; state: string }
export interface Viewing {
  camera: string; role: string; account: string; name?: string; address?: string; since: string;
  status: 'connecting' | 'connected' | 'failed'; ended?: string; cause?: string; transport?: 'udp' | 'tcp' | 'websocket';
  used?: ViewingWay; tried?: ViewingWay[]; offered?: string[];
  packets: number; repaired: number; refused: number; skipped: number; roundTrip?: number;
}
export interface CameraRow { camera: Camera; state: CameraState | null }
export interface Rule { kind: string; field: string; op: string; value: boolean | number | string; clear?: number | null;
  id?: string; name?: string; expr?: string; version?: number; disabled?: boolean;
  for?: number; off?: number; count?: number; within?: number; severity?: string; schedule?: string }
export interface SensorSource { broker: string; family: string; topic: string; device?: string; fields?: Record<string, string> }
export interface Sensor {
  id: string; node?: string; name: string; place: string; class: string; source: SensorSource;
  rules?: Rule[]; cameras?: string[]; silentAfter?: number; adopted: boolean;
  important?: boolean; maker?: string; model?: string; firmware?: string; power?: string; bridge?: string;
  position?: Position | null; service?: Service | null; was?: SensorSource[];
}
export interface SensorState { sensor: string; node?: string; values?: Values; lastSeen: string; offline: boolean; deviceSkew?: number; vitalsAt?: Record<string, string> }
export interface SensorRow { sensor: Sensor; state: SensorState | null }
export interface Node {
  id: string; name: string; online: boolean; since: string; lastEvent?: string; version?: string;
  state?: '' | 'online' | 'stale' | 'line' | 'off' | 'closed' | 'awaited' | 'never'; stateAt?: string; lostAt?: string; closedAt?: string; closedUntil?: string; closedBy?: string; clockOffset?: number;
}
export interface Site {
  node: string; name: string; area?: string; parent?: string; plan?: string; x?: number; y?: number; address?: string; contact?: string; phone?: string; hours?: Span[]; line?: string; note?: string;
}
export interface NodeHealth {
  at: string; started?: string; backlog?: Record<string, number>; oldest?: string; diskFree?: number; diskTotal?: number; daysLeft?: number;
  cameras?: { online: number; total: number }; sensors?: { online: number; total: number }; lamps?: Lamp[];
}
export interface StationView { node: Node; site?: Site; health?: NodeHealth; heard?: string; live: number; raised: number }
/** What a station was ordered to do. */
export interface Instruction {
  id: string; node: string; type: string; subject?: string; body?: any; by: string; name: string; at: string; until: string;
  state: 'waiting' | 'done' | 'refused' | 'expired'; stateAt: string; problem?: { code: string; message: string; args?: Record<string, string> } | null; result?: any;
}
export interface Lamp { id: string; state: 'ok' | 'warn' | 'bad' | 'off'; code: string; args?: Record<string, any>; hint?: string }
export interface UplinkStatus {
  target?: string; url?: string; parent?: string; connected: boolean; since?: string; sent?: number; lastError?: string; hint?: string; errorAt?: string; clockOffset?: number;
  lanes?: { lane: string; backlog: number; oldest?: string; rate?: number; held?: string }[];
  second?: { connected: boolean; since?: string; used: number; lastError?: string };
}
export interface LineUse { now: number; minute: number; peak: number; bytes: number }
export interface LineWay { bought: number; asked: number; rate: number; carried: number; bytes: number; lost: number; delay: number; worst: number; stopped?: boolean; delivers: boolean }
export interface LineTest { at: string; nightly?: boolean; idle: number; up: LineWay; down: LineWay; problem?: string }
export interface LineReport {
  up: number; down: number; reserve: number; free: number; sent: LineUse; received: LineUse;
  classes: { class: string; up: LineUse; down: LineUse; held: number; waited: number }[];
  flows: { class: string; name: string; since: string; held: number; now: number; bytes: number }[];
  refused: number; yielded: number;
}
export interface Status {
  now: string; lamps: Lamp[]; quietSince?: string; uplink?: UplinkStatus | null; targets?: UplinkStatus[] | null;
  storage?: { free: number; total: number; level: string; videoBytes?: number; oldestVideo?: string; daysLeft?: number } | null;
  cameras?: { online: number; total: number }; sensors?: { online: number; total: number }; nodes?: Node[] | null; brokers?: BrokerLink[] | null;
}
export interface Session {
  claimed: boolean; needsCode?: boolean;
  actor: { account: string; name?: string; role?: string } | null;
  permissions?: string[]; node: { id: string; name: string; kind: 'station' | 'centre' }; version?: string; lang?: string;
}
/** What an officer of this centre has asked the alarm's station for; a fact when the alarm itself says so. */
export interface Asked {
  alarm: string; node: string; what: 'seen' | 'takeover'; back?: boolean; by: string; name: string; note?: string; at: string; until: string;
  state: 'waiting' | 'done' | 'refused' | 'expired';
}
export interface AlarmDetail {
  alarm: Alarm; clip: Clip | null; cameras?: CameraRow[];
  sensor?: { sensor: Sensor; state: SensorState | null } | null;
  centre?: { configured: boolean; receivedAt?: string | null } | null;
  asked?: Asked[]; response?: Response | null; people?: People | null; card?: Card | null; plan?: Plan | null; incident?: Incident | null;
}
export interface JournalEvent { seq: number; type: string; subject: string; time: string; actor?: string; data?: any }
export interface Broker { id: string; url: string; username?: string; hasPassword?: boolean; topics: string[]; health?: BrokerHealth }
/** How a broker is; warnings are why alarms would be lost there while the station is down. */
export interface BrokerHealth { connected: boolean; since?: string; version?: string; received: number; dropped: number; problem?: BrokerProblem | null; warnings?: BrokerProblem[] }
export interface BrokerProblem { code: string; message: string; hint?: string }
export interface BrokerLink { id: string; connected: boolean; since?: string; lastError?: string; hint?: string }
export interface DeviceAccount { username: string; topics?: string[] }
export interface Account { account: string; name: string; role: string; disabled?: boolean }
export interface Audit {
  seq: number; at: string; actor: { account: string; name?: string; role?: string; address?: string };
  action: string; subject: string; result: string; detail?: string;
}
/** A step card: what to do for one kind of alarm, by language. */
export interface CardText { steps: { text: string; dont?: boolean }[]; phones?: { label: string; number: string }[] }
export interface Card { kind: string; text: Record<string, CardText>; version: number; by?: string; name?: string; at?: string }
/** A floor plan; its picture is fetched from /plans/{id}/picture. */
export interface Plan {
  id: string; name: string; floor?: string; order?: number; removed?: boolean;
  picture?: { digest: string; type: string; bytes: number; width: number; height: number; at: string } | null;
}
export interface Incident { id: string; alarms?: Alarm[] | null; [x: string]: any }
export interface ShiftNote { id: string; by: string; name: string; at: string; text: string }
export interface Joining { since: string; until: string; by: string; name: string }
export interface Display { id: string; name: string; by: string; armedAt: string; openedAt?: string; address?: string; seenAt?: string; linkUntil?: string }
export interface NodeCertificate { serial: string; issued: string; expires: string; renewal?: boolean; usedAt?: string; revokedAt?: string; revokedWhy?: string }
export interface Enrolment {
  node: string; name?: string; certificates?: NodeCertificate[]; closedAt?: string; closedBy?: string; closedWhy?: string;
  code?: { state: 'waiting' | 'used' | 'withdrawn' | 'expired'; by: string; byName?: string; madeAt: string; expires: string; usedAt?: string; usedFrom?: string };
}
export interface EnrolmentTicket { node: string; code?: string; addresses?: string[]; expires: string }
export interface AlarmSource { id: string; name: string; stations?: string[]; lastAt?: string }
export interface Routed { id: string; source: string; state: 'waiting' | 'done' | 'refused'; stateAt: string; alarm: { station: string; device?: string; sensor?: string; kind: string; name?: string } }
export interface Span { days?: number[]; from: string; to: string }
export interface Contact { id: string; name: string; account?: string; phone?: string; hours?: Span[]; channels: { channel: string; address?: string }[]; order: number; waitSeconds: number }
export interface TemplatePush {
  template: string; class: string; node: string; version: number; withdraw?: boolean; by: string; name: string; at: string;
  state: 'waiting' | 'done' | 'refused'; stateAt: string; accepted?: number; acceptedAt?: string;
  problem?: { code: string; message?: string; place?: string; args?: Record<string, string> } | null;
  local?: { version: number; name: string; at: string; removed?: boolean } | null;
}
