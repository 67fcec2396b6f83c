// What the console uses of preact, for the type check.
export interface VNode { type: unknown; props: Record<string, unknown>; key: unknown }
export type Child = VNode | string | number | boolean | null | undefined | Child[];
export function h(type: unknown, props: unknown, ...children: unknown[]): VNode;
export function render(vnode: Child, parent: Element): void;
export const Fragment: unknown;
