// Prometheus text → samples, as far as our own services write it.
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const line = /^(?<name>[a-zA-Z_:][\w:]*)(?:\{(?<labels>.*)\})? (?<value>\S+)/;
const label = /(?<name>\w+)="(?<value>(?:[^"\\]|\\.)*)"/g;

/** Comments and lines of another form are left out. */
export function samplesOf(text: string): Sample[] {
  return text.split("\n").flatMap((each) => {
    const { name, labels = "", value } = line.exec(each)?.groups ?? {};
    return name === undefined ? [] : [{ name, labels: labelsOf(labels), value: Number(value) }];
  });
}

/** Sum of the samples of a name that have these labels; 0 when there is none. */
export function sumOf(samples: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels);
  const matching = samples.filter((sample) => sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value));
  return matching.reduce((sum, { value }) => sum + value, 0);
}

function labelsOf(text: string): Record<string, string> {
  const pairs = Array.from(text.matchAll(label), ({ groups }) => [groups!.name!, groups!.value!.replaceAll(/\\(.)/g, unescaped)] as const);
  return Object.fromEntries(pairs);
}

const unescaped = (_: string, char: string): string => (char === "n" ? "\n" : char);
