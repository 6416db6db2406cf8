import type { NativeFunctions, SymbolTable } from "../ffi/runtime/index.ts";
import { Status } from "./constants.ts";

/** The functions of one library that answer a status, checked: anything but success is thrown. */
export class StatusApi<Table extends SymbolTable> {
  readonly functions: NativeFunctions<Table>;
  readonly #failure: (call: string, status: number) => Error;

  constructor(functions: NativeFunctions<Table>, failure: (call: string, status: number) => Error) {
    this.functions = functions;
    this.#failure = failure;
  }

  call<Name extends keyof Table & string>(name: Name, ...args: Parameters<NativeFunctions<Table>[Name]>): void {
    this.check(name, this.functions[name](...(args as never)) as number);
  }

  /** For calls whose status is an answer: true for success, false for `otherwise`, thrown for anything else. */
  ask<Name extends keyof Table & string>(
    otherwise: number,
    name: Name,
    ...args: Parameters<NativeFunctions<Table>[Name]>
  ): boolean {
    const status = this.functions[name](...(args as never)) as number;
    if (status !== otherwise) this.check(name, status);
    return status === Status.success;
  }

  check(name: string, status: number): void {
    if (status !== Status.success) throw this.#failure(name, status);
  }
}
