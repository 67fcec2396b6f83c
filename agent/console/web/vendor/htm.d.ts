// What the console uses of htm, for the type check.
type Tag<R> = (strings: TemplateStringsArray, ...values: any[]) => R;
declare const htm: { bind<R>(h: (type: any, props: any, ...children: any[]) => R): Tag<R> };
export default htm;
