// The viewer as one file, and the licences of what is in it: equal sources and lock file give equal bytes.
import { build } from "esbuild";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] ?? join(here, "..", "share", "viewer");

/** What the page never comes to: NiiVue's reader of Zarr stores, and zod's sentences in other languages than English. */
const leftOut = {
  name: "left-out",
  setup(bundle) {
    bundle.onResolve({ filter: /^zarrita$/ }, () => ({ path: "zarrita", namespace: "left-out" }));
    bundle.onLoad({ filter: /.*/, namespace: "left-out" }, () => ({ contents: "export {};", loader: "js" }));
    bundle.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
      loader: "js",
    }));
  },
};

const bundle = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.ts"],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logOverride: { "import-is-undefined": "silent" },
  metafile: true,
  write: false,
  plugins: [leftOut],
});
const styles = await build({
  absWorkingDir: here,
  entryPoints: ["src/style.css"],
  minify: true,
  charset: "utf8",
  write: false,
});

// A browser ends a script at the first `</script`, whatever surrounds it.
const script = bundle.outputFiles[0].text.trim().replaceAll("</script", "<\\/script");
const page = (await readFile(join(here, "src", "index.html"), "utf8"))
  .replace("/*style*/", () => styles.outputFiles[0].text.trim())
  .replace("/*script*/", () => script);
await writeFile(join(target, "viewer.html"), page);
await writeFile(join(target, "LICENSES.txt"), await licences(Object.keys(bundle.metafile.outputs)[0]));

/** The licence of each package of which the page holds a part. */
async function licences(output) {
  const inputs = bundle.metafile.outputs[output].inputs;
  const used = Object.keys(inputs).filter((path) => inputs[path].bytesInOutput > 0);
  const folders = used.map((path) => path.match(/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//)?.[1]).filter(Boolean);
  const parts = await Promise.all([...new Set(folders)].sort().map(licence));
  return ["What viewer.html holds of npm packages, and their licences. Written by viewer/build.mjs.\n", ...parts].join("\n");
}

async function licence(folder) {
  const about = JSON.parse(await readFile(join(here, folder, "package.json"), "utf8"));
  const names = (await readdir(join(here, folder))).filter((name) => /^(licen[cs]e|copying|notice)/i.test(name)).sort();
  // NiiVue's package comes without its licence: this is the file of its repository.
  const files = about.name === "@niivue/niivue" ? ["licences/niivue.txt"] : names.map((name) => join(folder, name));
  if (!files.length) throw new Error(`${about.name} comes without a licence file; add it to viewer/licences`);
  const texts = await Promise.all(files.map(async (file) => (await readFile(join(here, file), "utf8")).trim()));
  return `${"=".repeat(78)}\n${about.name} ${about.version}, ${about.license}\n\n${texts.join("\n\n")}\n`;
}
