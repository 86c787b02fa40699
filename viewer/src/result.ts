/** What the page reads of `result.json`, and how it sums it up: one structure a row of the legend. */

export type Millimetres = [number, number, number];

export interface Warning {
  code: string;
  message: string;
  target?: string;
  targets?: string[];
}

export interface MaskAnswer {
  target: string;
  name: string;
  measurement: { voxels: number; volume_ml: number; centroid_mm?: Millimetres };
}

export interface SegmentAnswer {
  status: "done" | "running";
  result_id: string;
  model: { name: string; version: string };
  image: { uri: string; modality: string };
  masks: MaskAnswer[];
  labelmap?: { labels: { value: number; name: string }[] };
  warnings: Warning[];
  eta_s?: number;
}

export type Colour = [number, number, number];

export interface Structure {
  name: string;
  /** The phrases that asked for it, where they were others. */
  asked: string[];
  /** Its numbers in the label map: several where several targets are one class. */
  labels: number[];
  colour: Colour;
  voxels: number;
  volume: number;
  centre?: Millimetres;
  warnings: string[];
}

/** A label map's colours by number, from ITK-SNAP's table. */
export function coloursOf(table: string): Map<number, Colour> {
  const colours = new Map<number, Colour>();
  for (const line of table.split("\n")) {
    const [label, red, green, blue] = (line.match(/^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s/) ?? []).slice(1).map(Number);
    if (label !== undefined && red !== undefined && green !== undefined && blue !== undefined) {
      colours.set(label, [red, green, blue]);
    }
  }
  return colours;
}

const GREY: Colour = [128, 128, 128];

/** One entry a class, in the order asked. Label i is the i-th target. */
export function structuresOf(result: SegmentAnswer, colours: Map<number, Colour>): Structure[] {
  const structures = new Map<string, Structure>();
  result.masks.forEach((mask, index) => {
    const label = index + 1;
    const structure = structures.get(mask.name) ?? {
      name: mask.name,
      asked: [],
      labels: [],
      colour: colours.get(label) ?? GREY,
      voxels: mask.measurement.voxels,
      volume: mask.measurement.volume_ml,
      centre: mask.measurement.centroid_mm,
      warnings: [],
    };
    structure.labels.push(label);
    if (mask.target !== mask.name) structure.asked.push(mask.target);
    for (const warning of result.warnings) {
      const about = warning.target === mask.target || warning.targets?.includes(mask.target);
      if (about && !structure.warnings.includes(warning.message)) structure.warnings.push(warning.message);
    }
    structures.set(mask.name, structure);
  });
  return [...structures.values()];
}

/** Warnings that are about no one target. */
export function generalWarnings(result: SegmentAnswer): string[] {
  return result.warnings.filter((warning) => !warning.target && !warning.targets).map((warning) => warning.message);
}

/** Three significant digits, as everywhere in sat-mcp. */
export function millilitres(volume: number): string {
  if (volume <= 0) return "0 mL";
  const places = Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(volume))));
  return `${volume.toFixed(places)} mL`;
}
