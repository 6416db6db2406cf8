import { expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../lb/config/index.ts";

const DEPLOY = join(import.meta.dir, "../../deploy");
const read = (name: string): Promise<string> => Bun.file(join(DEPLOY, name)).text();

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly data?: Record<string, string>;
}
type Model = new (manifest: Manifest) => { validate(): void };

const manifests = async (): Promise<Manifest[]> => Bun.YAML.parse(await read("kubernetes.yaml")) as Manifest[];

async function installed<T>(name: string): Promise<T | undefined> {
  try {
    return (await import(Bun.resolveSync(name, process.env["KVWIRE_DEPLOY_TOOLS"] ?? join(DEPLOY, "..")))) as T;
  } catch {
    return undefined;
  }
}

test("every manifest fits Kubernetes' own schema", async () => {
  if ((await installed("kubernetes-models")) === undefined)
    return console.warn("skipped: npm install --no-save kubernetes-models");
  for (const manifest of await manifests()) {
    const module = await installed<Record<string, Model>>(`kubernetes-models/${manifest.apiVersion}`);
    const Kind = module?.[manifest.kind];
    expect(Kind, manifest.kind).toBeDefined();
    new Kind!(manifest).validate();
    expect(() => new Kind!({ ...manifest, metadata: 5 } as Manifest).validate()).toThrow();
  }
});

test("the options in the manifest are good options", async () => {
  const config = (await manifests()).find(({ kind }) => kind === "ConfigMap")!;
  const file = join(mkdtempSync(join(tmpdir(), "kvwire-lb-")), "kvwire-lb.yaml");
  writeFileSync(file, config.data!["kvwire-lb.yaml"]!);
  const { options } = (await loadConfig(["--config", file], {}))!;
  expect(options.prefill).toEqual([{ url: "http://prefill-0.prefill:30000", bootstrapPort: 8998 }]);
});

test("the Containerfile passes a linter", async () => {
  const root = process.env["KVWIRE_DEPLOY_TOOLS"] ?? join(DEPLOY, "..");
  const linter = join(root, "node_modules/.bin/dockerfilelint");
  if (!(await Bun.file(linter).exists())) return console.warn("skipped: npm install --no-save dockerfilelint");
  const { exitCode, stdout } = Bun.spawnSync(["node", linter, join(DEPLOY, "Containerfile")]);
  expect(stdout.toString()).toContain("Issues: None found");
  expect(exitCode).toBe(0);
});

test("systemd takes the unit", () => {
  const tool = Bun.which("systemd-analyze");
  if (tool === null) return console.warn("skipped: systemd-analyze is not installed");
  const { stderr } = Bun.spawnSync([tool, "verify", join(DEPLOY, "kvwire-lb.service")]);
  // That the executable is not installed here is no fault of the unit.
  const complaints = stderr
    .toString()
    .split("\n")
    .filter(
      (line) => line.includes("kvwire-lb.service") && !/not executable|Unit configuration has fatal error/.test(line),
    );
  expect(complaints).toEqual([]);
});
