// The records that the server sends, as the console reads them. They mirror the
// JSON of the program's vocabulary (agent/station); only ever add.

export type AnswerKind = 'received' | 'real' | 'false' | 'test' | 'called' | 'undo';
export type Values = Record<string, boolean | number | string>;

export interface Answer { kind: AnswerKind; by: string; name: string; at: string; note?: string; undone?: boolean }
export interface Alarm {
  id: string; node: string; kind: string; severity: 'critical' | 'major' | 'minor';
  state: 'raised' | 'acknowledged' | 'cleared';
  sensor?: string; name: string; place?: string;
  raisedAt: string; lastAt: string; count: number; deviceTime?: string; late?: boolean; values?: Values;
  returnedAt?: string; clearedAt?: string; answers?: Answer[]; cameras?: string[]; clip?: string; centreAt?: string;
}
export interface Clip {
  id: string; node: string; camera: string; alarm?: string; status: 'pending' | 'ready' | 'failed';
  from: string; to: string; start?: string; end?: string; gaps?: number; size?: number; cause?: string; uploaded?: string;
}
export interface Camera {
  id: string; node?: string; name: string; place?: string; url?: string; username?: string; hasPassword?: boolean; record: boolean;
}
export interface CameraState {
  camera: string; node?: string;
  status: 'connecting' | 'online' | 'offline' | 'unauthorized' | 'no-slot' | 'unsupported';
  since: string; cause?: string; hint?: string; codec?: string; width?: number; height?: number;
}
export interface CameraRow { camera: Camera; state: CameraState | null }
export interface Rule { kind: string; field: string; op: string; value: boolean | number | string; clear?: number | null }
export interface SensorSource { broker: string; family: string; topic: string; fields?: Record<string, string> }
export interface Sensor {
  id: string; node?: string; name: string; place: string; class: string; source: SensorSource;
  rules?: Rule[]; cameras?: string[]; silentAfter?: number; adopted: boolean;
}
export interface SensorState { sensor: string; node?: string; values?: Values; lastSeen: string; offline: boolean; deviceSkew?: number }
export interface SensorRow { sensor: Sensor; state: SensorState | null }
export interface Node { id: string; name: string; online: boolean; since: string; lastEvent?: string; version?: string }
export interface Lamp { id: string; state: 'ok' | 'warn' | 'bad' | 'off'; code: string; args?: Record<string, any>; hint?: string }
export interface UplinkStatus {
  connected: boolean; since?: string; lanes?: { lane: string; backlog: number; oldest?: string }[]; lastError?: string; hint?: string;
}
export interface Status {
  now: string; lamps: Lamp[]; quietSince?: string; uplink?: UplinkStatus | null;
  storage?: { free: number; total: number; level: string; videoBytes?: number; oldestVideo?: string; daysLeft?: number } | null;
  cameras?: { online: number; total: number }; sensors?: { online: number; total: number }; nodes?: Node[] | null; brokers?: BrokerLink[] | null;
}
export interface Session {
  claimed: boolean; needsCode?: boolean;
  actor: { account: string; name?: string; role?: string } | null;
  permissions?: string[]; node: { id: string; name: string; kind: 'station' | 'centre' }; version?: string; lang?: string;
}
export interface AlarmDetail {
  alarm: Alarm; clip: Clip | null; cameras?: CameraRow[];
  sensor?: { sensor: Sensor; state: SensorState | null } | null;
  centre?: { configured: boolean; receivedAt?: string | null } | null;
}
export interface JournalEvent { seq: number; type: string; subject: string; time: string; actor?: string; data?: any }
export interface Broker { id: string; url: string; username?: string; hasPassword?: boolean; topics: string[] }
export interface BrokerLink { id: string; connected: boolean; since?: string; lastError?: string; hint?: string }
export interface DeviceAccount { username: string; topics?: string[] }
export interface Account { account: string; name: string; role: string; disabled?: boolean }
export interface Audit {
  seq: number; at: string; actor: { account: string; name?: string; role?: string; address?: string };
  action: string; subject: string; result: string; detail?: string;
}
