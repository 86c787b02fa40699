/** As much of NIfTI-1 as must be known before NiiVue reads a file. The program writes little-endian, with a header of 352 bytes. */

const DATA = 352;
const AT = { dim: 40, datatype: 70, bitpix: 72, intent: 68, pixdim: 76, description: 148, qform: 252, sform: 254, srow: 280 };
const UINT8 = 2;

export async function gunzip(bytes: Uint8Array): Promise<ArrayBuffer> {
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip"));
  return settled(await new Response(stream).arrayBuffer());
}

/**
 * The file with one affine only, the one that the program goes by: the sform where it has a code, else the qform, else (as
 * nibabel has it) spacing about the centre with the first axis to the left. NiiVue would weigh the two codes another way.
 */
function settled(file: ArrayBuffer): ArrayBuffer {
  const view = new DataView(file);
  const inUse = (code: number) => code >= 1 && code <= 5;
  if (!inUse(view.getInt16(AT.sform, true)) && !inUse(view.getInt16(AT.qform, true))) {
    for (let row = 0; row < 3; row++) {
      const length = view.getInt16(AT.dim + 2 * (row + 1), true);
      const step = view.getFloat32(AT.pixdim + 4 * (row + 1), true) * (row === 0 ? -1 : 1);
      for (let column = 0; column < 4; column++) {
        const value = column === row ? step : column === 3 ? (-step * (length - 1)) / 2 : 0;
        view.setFloat32(AT.srow + 16 * row + 4 * column, value, true);
      }
    }
    view.setInt16(AT.sform, 1, true);
  }
  if (inUse(view.getInt16(AT.sform, true))) view.setInt16(AT.qform, 0, true);
  else view.setInt16(AT.sform, 0, true);
  return file;
}

/** The text in the header: of a scan that is shown, the window that it is shown in. */
export function description(file: ArrayBuffer): string {
  const bytes = new Uint8Array(file, AT.description, 80);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.subarray(0, end < 0 ? undefined : end));
}

/** A black image on another's grid. */
export function blankLike(file: ArrayBuffer): ArrayBuffer {
  const old = new DataView(file);
  const voxels = [1, 2, 3].reduce((count, axis) => count * old.getInt16(AT.dim + 2 * axis, true), 1);
  const blank = new ArrayBuffer(DATA + voxels);
  new Uint8Array(blank).set(new Uint8Array(file, 0, DATA));
  const view = new DataView(blank);
  view.setInt16(AT.datatype, UINT8, true);
  view.setInt16(AT.bitpix, 8, true);
  view.setInt16(AT.intent, 0, true);
  return blank;
}
