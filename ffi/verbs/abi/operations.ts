import {
  type Address,
  type NativeFunction,
  type NativeFunctions,
  type Signature,
  unsafeFunctionAt,
  unsafeReadAddress,
  unsafeReadU64,
} from "../../runtime/index.ts";
import { structs } from "./structs.ts";
import { type CallableExtendedVerb, extendedVerbs, type InlineVerb, inlineVerbs } from "./symbols.ts";

export type InlineVerbs = Partial<NativeFunctions<typeof inlineVerbs>> & DataPath;
type DataPath = Pick<
  NativeFunctions<typeof inlineVerbs>,
  "poll_cq" | "req_notify_cq" | "post_send" | "post_recv" | "post_srq_recv"
>;

/** All ones: what abi_compat holds where a verbs_context stands in front of the context. */
const EXTENDED = 0xffff_ffff_ffff_ffffn;

/**
 * A provider's functions stay where they are while its library is loaded, so each address is wrapped once per process:
 * contexts that come and go must not leave wrappers behind.
 */
const wrapped = new Map<string, unknown>();

function wrap<const S extends Signature>(name: string, address: Address, signature: S): NativeFunction<S> {
  const key = `${name}@${address}`;
  let call = wrapped.get(key) as NativeFunction<S> | undefined;
  if (call === undefined) {
    call = unsafeFunctionAt(address, signature);
    wrapped.set(key, call);
  }
  return call;
}

/** The verbs that are `static inline` in C: function pointers inside the context. Those a provider lacks are absent. */
export function unsafeInlineVerbs(context: Address): InlineVerbs {
  const verbs: Record<string, unknown> = {};
  for (const name of Object.keys(inlineVerbs) as InlineVerb[]) {
    const address = unsafeReadAddress(context, structs.context.fields[`ops.${name}`].offset);
    if (address !== 0) verbs[name] = wrap(name, address, inlineVerbs[name]);
  }
  return verbs as unknown as InlineVerbs;
}

/**
 * An extended verb, or undefined where the library is too old to have the slot (`sz` counts from the slot to the end
 * of the struct, as C's verbs_get_ctx_op checks it) or the provider leaves it empty.
 */
export function unsafeExtendedVerb<const V extends CallableExtendedVerb>(
  context: Address,
  name: V,
): NativeFunction<(typeof extendedVerbs)[V]> | undefined {
  const { context: plain, extendedContext } = structs;
  if (unsafeReadU64(context, plain.fields.abi_compat.offset) !== EXTENDED) return undefined;
  const { offset } = extendedContext.fields[name];
  const size = unsafeReadU64(context + extendedContext.fields.sz.offset);
  if (size < BigInt(plain.size - offset)) return undefined;
  const address = unsafeReadAddress(context + offset);
  return address === 0 ? undefined : wrap(name, address, extendedVerbs[name]);
}
