/** An option is wrong; the message names it and says what is allowed. */
export class ConfigError extends Error {
  readonly code = "BAD_CONFIG";

  constructor(message: string) {
    super(message);
    this.name = "ConfigError";
  }
}
