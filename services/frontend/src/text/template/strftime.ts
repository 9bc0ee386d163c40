// strftime_now: the local time (TZ) in chrono's format language.
//
// Source: chrono's strftime as Dynamo 1.6.1 uses it, seen running. English names; a padding flag (- none, _ space,
// 0 zero) may stand before a number; what is unknown is an error.
import { refusal } from "./budget.ts";

const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const months = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

interface NumberField {
  readonly width: number;
  readonly pad: "0" | " ";
  value(time: Date): number;
}

const zeroed = (width: number, value: (time: Date) => number): NumberField => ({ width, pad: "0", value });
const spaced = (width: number, value: (time: Date) => number): NumberField => ({ width, pad: " ", value });

const numberFields: Readonly<Record<string, NumberField>> = {
  Y: zeroed(4, (time) => time.getFullYear()),
  C: zeroed(2, (time) => Math.floor(time.getFullYear() / 100)),
  y: zeroed(2, (time) => time.getFullYear() % 100),
  m: zeroed(2, (time) => time.getMonth() + 1),
  d: zeroed(2, (time) => time.getDate()),
  e: spaced(2, (time) => time.getDate()),
  w: zeroed(1, (time) => time.getDay()),
  u: zeroed(1, (time) => time.getDay() || 7),
  U: zeroed(2, (time) => weekOfYear(time, 0)),
  W: zeroed(2, (time) => weekOfYear(time, 1)),
  G: zeroed(4, (time) => isoWeek(time).year),
  g: zeroed(2, (time) => isoWeek(time).year % 100),
  V: zeroed(2, (time) => isoWeek(time).week),
  j: zeroed(3, (time) => dayOfYear(time)),
  H: zeroed(2, (time) => time.getHours()),
  k: spaced(2, (time) => time.getHours()),
  I: zeroed(2, (time) => time.getHours() % 12 || 12),
  l: spaced(2, (time) => time.getHours() % 12 || 12),
  M: zeroed(2, (time) => time.getMinutes()),
  S: zeroed(2, (time) => time.getSeconds()),
  f: zeroed(9, (time) => time.getMilliseconds() * 1_000_000),
  "3f": zeroed(3, (time) => time.getMilliseconds()),
  "6f": zeroed(6, (time) => time.getMilliseconds() * 1_000),
  "9f": zeroed(9, (time) => time.getMilliseconds() * 1_000_000),
  s: zeroed(1, (time) => Math.floor(time.getTime() / 1000)),
};

const textFields: Readonly<Record<string, (time: Date) => string>> = {
  a: (time) => nameOf(days, time.getDay()).slice(0, 3),
  A: (time) => nameOf(days, time.getDay()),
  b: (time) => nameOf(months, time.getMonth()).slice(0, 3),
  h: (time) => nameOf(months, time.getMonth()).slice(0, 3),
  B: (time) => nameOf(months, time.getMonth()),
  p: (time) => (time.getHours() < 12 ? "AM" : "PM"),
  P: (time) => (time.getHours() < 12 ? "am" : "pm"),
  ".f": (time) => `.${time.getMilliseconds().toString().padStart(3, "0")}`,
  ".3f": (time) => `.${time.getMilliseconds().toString().padStart(3, "0")}`,
  z: (time) => offset(time, ""),
  ":z": (time) => offset(time, ":"),
  Z: (time) => offset(time, ":"),
  n: () => "\n",
  t: () => "\t",
  "%": () => "%",
};

/** Fields that stand for several others. */
const compositions: Readonly<Record<string, string>> = {
  D: "%m/%d/%y",
  x: "%m/%d/%y",
  F: "%Y-%m-%d",
  v: "%e-%b-%Y",
  R: "%H:%M",
  T: "%H:%M:%S",
  X: "%H:%M:%S",
  r: "%I:%M:%S %p",
  c: "%a %b %e %H:%M:%S %Y",
  "+": "%Y-%m-%dT%H:%M:%S%.3f%:z",
};

const field = /%([-_0])?(\.3f|\.f|[369]f|:z|[\s\S]|$)/g;

/** @throws AppError `invalid_request` for an unknown field */
export function formatTime(time: Date, format: string): string {
  return format.replace(field, (_, flag: string | undefined, name: string) => {
    const number = numberFields[name];
    if (number !== undefined) return padded(number, time, flag);
    const composition = compositions[name];
    const text = composition === undefined ? textFields[name]?.(time) : formatTime(time, composition);
    if (text === undefined || flag !== undefined) throw refusal(`unknown time format field %${flag ?? ""}${name}`);
    return text;
  });
}

function padded(number: NumberField, time: Date, flag: string | undefined): string {
  const digits = number.value(time).toString();
  if (flag === "-") return digits;
  const pad = flag === "_" ? " " : flag === "0" ? "0" : number.pad;
  return digits.padStart(number.width, pad);
}

function nameOf(names: readonly string[], index: number): string {
  return names[index] ?? "";
}

const dayMs = 86_400_000; // 24 · 60 · 60 · 1000

/** 1 on 1 January. Reckoned in UTC, where every day is as long. */
function dayOfYear(time: Date): number {
  return (Date.UTC(time.getFullYear(), time.getMonth(), time.getDate()) - Date.UTC(time.getFullYear(), 0, 1)) / dayMs + 1;
}

/** Weeks that begin on `firstDay` (0 Sunday, 1 Monday); days before the first such day are in week 0. */
function weekOfYear(time: Date, firstDay: number): number {
  const sinceFirstDay = (time.getDay() - firstDay + 7) % 7;
  return Math.floor((dayOfYear(time) + 6 - sinceFirstDay) / 7);
}

/** ISO 8601: the week belongs to the year of its Thursday. */
function isoWeek(time: Date): { year: number; week: number } {
  const thursday = new Date(time.getFullYear(), time.getMonth(), time.getDate() + 4 - (time.getDay() || 7));
  return { year: thursday.getFullYear(), week: Math.ceil(dayOfYear(thursday) / 7) };
}

function offset(time: Date, separator: string): string {
  const minutes = -time.getTimezoneOffset();
  const size = Math.abs(minutes);
  const hours = Math.floor(size / 60)
    .toString()
    .padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${hours}${separator}${(size % 60).toString().padStart(2, "0")}`;
}
