/** The planes as the preview shows them, radiologically: the patient's right on the left, the front at the top or on the left. */

export type View = "all" | "axial" | "coronal" | "sagittal" | "render";
export type Plane = "axial" | "coronal" | "sagittal";
export const PLANES: Plane[] = ["axial", "coronal", "sagittal"];

/** Left, top, width and height as parts of the stage. */
export type Place = [number, number, number, number];

export interface Tile {
  view: Exclude<View, "all">;
  place: Place;
}

const MARGIN = 0.01;

/** What a view shows where. The 3D view is never beside others: without a graphics card each of its pictures takes seconds. */
export function tilesOf(view: View): Tile[] {
  if (view !== "all") return [{ view, place: inset([0, 0, 1, 1]) }];
  return [
    { view: "axial", place: inset([0, 0, 2 / 3, 1]) },
    { view: "coronal", place: inset([2 / 3, 0, 1 / 3, 1 / 2]) },
    { view: "sagittal", place: inset([2 / 3, 1 / 2, 1 / 3, 1 / 2]) },
  ];
}

/** Room for the letters at a picture's sides. */
function inset([left, top, width, height]: Place): Place {
  return [left + MARGIN, top + MARGIN, width - 2 * MARGIN, height - 2 * MARGIN];
}

/** The tile under a point, given as parts of the stage. */
export function tileAt(view: View, x: number, y: number): Tile | undefined {
  return tilesOf(view).find(({ place: [left, top, width, height] }) => {
    return x >= left && x < left + width && y >= top && y < top + height;
  });
}

/** Steps in voxels towards the patient's right, front and head. */
export type Step = [number, number, number];

const RIGHT: Record<Plane, Step> = { axial: [-1, 0, 0], coronal: [-1, 0, 0], sagittal: [0, -1, 0] };
const UP: Record<Plane, Step> = { axial: [0, 1, 0], coronal: [0, 0, 1], sagittal: [0, 0, 1] };
const THROUGH: Record<Plane, Step> = { axial: [0, 0, 1], coronal: [0, 1, 0], sagittal: [1, 0, 0] };

/** Where a key takes the crosshair in a plane: arrows within it, the page keys to its neighbours. */
export function stepOf(plane: Plane, key: string): Step | undefined {
  const back = ([x, y, z]: Step): Step => [-x, -y, -z];
  switch (key) {
    case "ArrowRight": return RIGHT[plane];
    case "ArrowLeft": return back(RIGHT[plane]);
    case "ArrowUp": return UP[plane];
    case "ArrowDown": return back(UP[plane]);
    case "PageUp": return THROUGH[plane];
    case "PageDown": return back(THROUGH[plane]);
    default: return undefined;
  }
}

/** "axial, z −18 mm" */
export function captionOf(plane: Plane, mm: ArrayLike<number>): string {
  const axis = THROUGH[plane].findIndex((step) => step !== 0);
  return `${plane}, ${"xyz"[axis]} ${rounded(mm[axis] ?? 0)} mm`;
}

/** With a true minus sign, and none before zero. */
export function rounded(millimetres: number): string {
  const whole = Math.round(millimetres);
  return whole < 0 ? `−${-whole}` : `${Math.abs(whole)}`;
}
