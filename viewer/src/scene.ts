/** NiiVue with a scan and a label map on it: all that is drawn with WebGL. */

import { Niivue, NVImage, SLICE_TYPE, DRAG_MODE } from "@niivue/niivue";
import { blankLike } from "./nifti.js";
import { tilesOf, type Step, type View } from "./planes.js";
import type { Millimetres, Structure } from "./result.js";

const TYPE: Record<Exclude<View, "all">, SLICE_TYPE> = {
  axial: SLICE_TYPE.AXIAL,
  coronal: SLICE_TYPE.CORONAL,
  sagittal: SLICE_TYPE.SAGITTAL,
  render: SLICE_TYPE.RENDER,
};
const CLOSEST = 8;
const MASKS = 1;

/** Where the crosshair is, and which number the label map has there. */
export type OnMove = (mm: Millimetres, label: number) => void;

/** How the masks look. */
export interface Look {
  structures: Structure[];
  /** The names of those that are seen. */
  shown: ReadonlySet<string>;
  /** How strongly they cover the scan, 0 to 1. */
  opacity: number;
}

export class Scene {
  private next?: Look;

  private constructor(private readonly niivue: Niivue) {}

  /** Fails where the browser has no WebGL 2. */
  static async start(canvas: HTMLCanvasElement, onMove: OnMove): Promise<Scene> {
    const niivue = new Niivue({
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      showAllOrientationMarkers: true,
      crosshairColor: [1, 0.84, 0.35, 0.75],
      crosshairWidth: 0.25,
      crosshairWidthUnit: "percent",
      crosshairGap: 8,
      fontColor: [0.91, 0.92, 0.93, 1],
      fontSizeScaling: 0.32,
      fontMinPx: 12,
      dragMode: DRAG_MODE.none,
      dragAndDropEnabled: false,
      // The page has keys of its own.
      viewModeHotKey: "",
      clipPlaneHotKey: "",
      cycleClipPlaneHotKey: "",
      loadingText: "",
      logLevel: "error",
    });
    niivue.onLocationChange = (location) => {
      const { mm, values } = location as { mm: ArrayLike<number>; values: { value: number }[] };
      onMove([mm[0] ?? 0, mm[1] ?? 0, mm[2] ?? 0], Math.round(values[MASKS]?.value ?? 0));
    };
    await niivue.attachToCanvas(canvas);
    return new Scene(niivue);
  }

  /** Shows a label map, on the scan or on black. Both are uncompressed NIfTI. */
  async load(labels: ArrayBuffer, scan: ArrayBuffer | undefined, look: Look): Promise<void> {
    const grey = { url: scan ?? blankLike(labels), name: "scan.nii", colormap: "gray", cal_min: 0, cal_max: 255 };
    const masks = await NVImage.loadFromUrl({ url: labels, name: "labels.nii", opacity: look.opacity });
    masks.setColormapLabel(tableOf(look));
    // Whatever is added, NiiVue works out all voxels of all volumes anew, for seconds without a graphics card: so both at once.
    this.niivue.volumes.push(await NVImage.loadFromUrl(grey));
    this.niivue.addVolume(masks);
  }

  /** Colours the masks as they are to look from now on, with the next picture at the latest. */
  paint(look: Look): void {
    const waiting = this.next !== undefined;
    this.next = look;
    if (!waiting) requestAnimationFrame(() => this.repaint());
  }

  private repaint(): void {
    const { masks, next } = this;
    this.next = undefined;
    if (!masks || !next) return;
    masks.setColormapLabel(tableOf(next));
    masks.opacity = next.opacity;
    // NiiVue makes a texture for the new look and forgets the old one, which may have some sixty megabytes.
    const old = this.niivue.overlayTexture;
    this.niivue.refreshLayers(masks, MASKS);
    this.niivue.gl.deleteTexture(old);
    this.niivue.drawScene();
  }

  view(view: View): void {
    const layout = tilesOf(view).map((tile) => ({ sliceType: TYPE[tile.view], position: tile.place }));
    this.niivue.setCustomLayout(layout);
  }

  goTo(mm: Millimetres): void {
    this.niivue.scene.crosshairPos = this.niivue.mm2frac(mm, 0, true);
    this.moved();
  }

  step([right, front, head]: Step): void {
    this.niivue.moveCrosshairInVox(right, front, head);
  }

  turn(azimuth: number, elevation: number): void {
    const { renderAzimuth, renderElevation } = this.niivue.scene;
    this.niivue.setRenderAzimuthElevation(renderAzimuth + azimuth, renderElevation + elevation);
  }

  /** The 3D view larger by a factor. */
  enlarge(factor: number): void {
    this.niivue.setScale(Math.min(CLOSEST, Math.max(1 / CLOSEST, this.niivue.scene.volScaleMultiplier * factor)));
  }

  /** The planes closer by a factor, about the crosshair. */
  zoom(factor: number): void {
    const [x, y, z, old] = this.niivue.scene.pan2Dxyzmm as [number, number, number, number];
    const zoom = Math.min(CLOSEST, Math.max(1, old * factor));
    if (zoom === 1) {
      this.niivue.setPan2Dxyzmm([0, 0, 0, 1]);
      return;
    }
    const centre = this.niivue.frac2mm(this.niivue.scene.crosshairPos);
    const shift = (at: number, axis: number) => at + (old - zoom) * (centre[axis] ?? 0);
    this.niivue.setPan2Dxyzmm([shift(x, 0), shift(y, 1), shift(z, 2), zoom]);
  }

  /**
   * The voxel of a structure that is nearest to its centre: a centre of mass may lie outside of what is bent, or in a smaller
   * mask. Where the label map has none of it, the centre itself.
   */
  middle({ labels, centre }: Structure): Millimetres | undefined {
    const image = this.masks;
    const voxels = image?.img;
    if (!centre || !image?.hdr || !voxels) return centre;
    const affine = image.hdr.affine;
    const [, nx = 0, ny = 0] = image.hdr.dims;
    const place = (n: number) => {
      const voxel = [n % nx, Math.floor(n / nx) % ny, Math.floor(n / (nx * ny)), 1];
      return [0, 1, 2].map((row) => voxel.reduce((sum, v, column) => sum + v * (affine[row]?.[column] ?? 0), 0));
    };
    let best = Infinity;
    let found: number[] = centre;
    for (let n = 0; n < voxels.length; n++) {
      if (voxels[n] === 0 || !labels.includes(voxels[n] ?? 0)) continue;
      const mm = place(n);
      const distance = centre.reduce((sum, at, axis) => sum + (at - (mm[axis] ?? 0)) ** 2, 0);
      if (distance < best) [best, found] = [distance, mm];
    }
    return found as Millimetres;
  }

  /** Tells the listener where the crosshair is, and draws. */
  moved(): void {
    this.niivue.createOnLocationChange();
    this.niivue.drawScene();
  }

  close(): void {
    this.niivue.cleanup();
    this.niivue.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  private get masks(): NVImage | undefined {
    return this.niivue.volumes[MASKS];
  }
}

/** Colours by label, as NiiVue wants them; what is not seen is clear. */
function tableOf({ structures, shown }: Look) {
  const table = { I: [0], R: [0], G: [0], B: [0], A: [0], labels: [""] };
  for (const { name, labels, colour } of structures) {
    for (const label of labels) {
      table.I.push(label);
      table.R.push(colour[0]);
      table.G.push(colour[1]);
      table.B.push(colour[2]);
      table.A.push(shown.has(name) ? 255 : 0);
      table.labels.push(name);
    }
  }
  return table;
}
