import { constants } from "node:fs";
import type { Address } from "../runtime/index.ts";
import { StructBuffer, structs, unsafeExtendedVerb } from "./abi/index.ts";
import type { Context } from "./context.ts";
import { checked, created, unsupported } from "./errors.ts";
import { Resource } from "./resource.ts";

const FD_AND_OFLAGS = 3;

/** A private extended connection domain; see ibv_open_xrcd(3). */
export class XrcDomain extends Resource {
  readonly context: Context;

  private constructor(address: Address, context: Context, close: (domain: Address) => number) {
    super({
      kind: "XRC domain",
      address,
      parents: [context],
      destroy: () => checked("ibv_close_xrcd", close(address)),
    });
    this.context = context;
  }

  static open(context: Context): XrcDomain {
    const open = unsafeExtendedVerb(context.unsafeAddress, "open_xrcd");
    const close = unsafeExtendedVerb(context.unsafeAddress, "close_xrcd");
    if (!open || !close) throw unsupported("ibv_open_xrcd");
    const attributes = new StructBuffer(structs.xrcDomainAttributes)
      .set("comp_mask", FD_AND_OFLAGS)
      .set("fd", -1)
      .set("oflags", constants.O_CREAT);
    return new XrcDomain(created("ibv_open_xrcd", open(context.unsafeAddress, attributes.address)), context, close);
  }
}
