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

test("every manifest fits Kubernetes' own schema", async () => {
  for (const manifest of await manifests()) {
    const module = (await import(`kubernetes-models/${manifest.apiVersion}`)) as Record<string, Model>;
    const Kind = module[manifest.kind];
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

test("the Containerfile passes a linter", () => {
  const linter = join(DEPLOY, "../node_modules/.bin/dockerfilelint");
  const { exitCode, stdout } = Bun.spawnSync(["node", linter, join(DEPLOY, "Containerfile")]);
  expect(stdout.toString()).toContain("Issues: None found");
  expect(exitCode).toBe(0);
});

const analyze = Bun.which("systemd-analyze");
test.skipIf(analyze === null)("systemd takes the unit", () => {
  const { stderr } = Bun.spawnSync([analyze!, "verify", join(DEPLOY, "kvwire-lb.service")]);
  // That the executable is not installed here is no fault of the unit.
  const complaints = stderr
    .toString()
    .split("\n")
    .filter(
      (line) => line.includes("kvwire-lb.service") && !/not executable|Unit configuration has fatal error/.test(line),
    );
  expect(complaints).toEqual([]);
});
