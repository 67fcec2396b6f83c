// What the console uses of uPlot, for the type check.
export default class uPlot {
  constructor(options: Record<string, unknown>, data: (number | null)[][], target: HTMLElement);
  setSize(size: { width: number; height: number }): void;
  setData(data: (number | null)[][]): void;
  destroy(): void;
  cursor: { idx?: number | null };
  static paths: { stepped(options: { align: number }): unknown };
}
