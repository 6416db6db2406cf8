/** This computer cannot start the machine. `remedy` is the one line that a person would type, where there is one. */
export class MachineUnavailableError extends Error {
  readonly code = "MACHINE_UNAVAILABLE";
  readonly remedy: string | undefined;

  constructor(message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = "MachineUnavailableError";
    this.remedy = options.remedy;
  }
}

/** A machine did not come up, or went away while it was in use. The message ends with the kernel's last words. */
export class MachineError extends Error {
  readonly code = "MACHINE_FAILED";

  constructor(message: string, console: string) {
    super(console === "" ? message : `${message}\n--- the machine's console ends with ---\n${console}`);
    this.name = "MachineError";
  }
}
