/** Writes the C program that prints, as JSON, what the layout and constant tables claim. */
import { type Architecture, cPrefixes, structsFor } from "../../../../ffi/verbs/abi/index.ts";

export interface Facts {
  readonly structs: Record<string, { size: number; fields: Record<string, { offset: number; size: number }> }>;
  readonly constants: Record<string, number>;
}

/** What our tables say, in the shape the C program prints. */
export function declaredFacts(architecture: Architecture): Facts {
  const structs: Facts["structs"] = {};
  for (const layout of Object.values(structsFor(architecture))) {
    const fields: Record<string, { offset: number; size: number }> = {};
    for (const [name, { offset, size }] of Object.entries(layout.fields)) fields[name] = { offset, size };
    structs[layout.name] = { size: layout.size, fields };
  }
  const constants: Facts["constants"] = {};
  for (const [prefix, table] of Object.entries(cPrefixes)) {
    for (const [name, value] of Object.entries(table)) constants[prefix + name] = value;
  }
  return { structs, constants };
}

export function cProgram(architecture: Architecture): string {
  const lines = [
    "#include <stddef.h>",
    "#include <stdio.h>",
    "#include <infiniband/verbs.h>",
    "int main(void) {",
    'printf("{\\"structs\\":{");',
  ];
  const layouts = Object.values(structsFor(architecture));
  layouts.forEach(({ name, cType, fields, relativeTo }, index) => {
    const base = relativeTo ? `(long)offsetof(${cType}, ${relativeTo})` : "0";
    lines.push(`printf("${index ? "," : ""}\\"${name}\\":{\\"size\\":%zu,\\"fields\\":{", sizeof(${cType}));`);
    Object.keys(fields).forEach((field, position) => {
      const value = `(long)offsetof(${cType}, ${field}) - ${base}`;
      const size = `sizeof(((${cType} *)0)->${field})`;
      const text = `${position ? "," : ""}\\"${field}\\":{\\"offset\\":%ld,\\"size\\":%zu}`;
      lines.push(`printf("${text}", ${value}, ${size});`);
    });
    lines.push('printf("}}");');
  });
  lines.push('printf("},\\"constants\\":{");');
  Object.keys(declaredFacts(architecture).constants).forEach((name, index) => {
    lines.push(`printf("${index ? "," : ""}\\"${name}\\":%lld", (long long)${name});`);
  });
  lines.push('printf("}}\\n");', "return 0;", "}", "");
  return lines.join("\n");
}
