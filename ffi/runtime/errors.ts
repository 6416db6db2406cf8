/** No candidate of a native library could be loaded. `tried` holds one line per candidate. */
export class LibraryNotFoundError extends Error {
  readonly code = "LIBRARY_NOT_FOUND";
  readonly tried: readonly string[];

  constructor(name: string, tried: readonly string[], hint?: string) {
    super([`cannot load ${name}; tried`, ...tried.map((line) => `  ${line}`), ...(hint ? [hint] : [])].join("\n"));
    this.name = "LibraryNotFoundError";
    this.tried = tried;
  }
}
