import type { Address } from "../runtime/index.ts";
import { refusal } from "./errors.ts";
import { setBytes, setNumber, type SocketOption } from "./option.ts";

/** Keys are Z85 texts of 40 characters. A server admits whoever knows its public key; a client names one server. */
export type ZmqCurve =
  | { readonly serverSecretKey: string }
  | { readonly serverKey: string; readonly publicKey: string; readonly secretKey: string };

/** Set before bind and connect. Times are milliseconds unless they say otherwise; what is left out keeps libzmq's default. */
export interface ZmqSocketOptions {
  /** 1 to 255 bytes, the first of them not 0: what a ROUTER peer knows this socket by. */
  readonly routingId?: string | Uint8Array;
  /** How long unsent messages outlive close(); -1 is for ever. 0 here, unlike libzmq's -1, so that close() never hangs. */
  readonly linger?: number;
  /** Messages queued per peer before send() gives false; 0 is no limit. libzmq's default: 1000. */
  readonly sendHighWater?: number;
  readonly receiveHighWater?: number;
  /** A peer that sends a larger frame is disconnected; -1 is no limit. Bytes. */
  readonly maxMessageBytes?: number;
  /** ROUTER: send() to an unknown peer is an EHOSTUNREACH error, to a full one gives false; else both drop silently. */
  readonly routerMandatory?: boolean;
  /**
   * ROUTER: a new connection with a known routing id takes it over from the old one. Without it, a peer that reconnects
   * with its fixed id before the old connection is seen to be dead stays connected and is never heard.
   */
  readonly routerHandover?: boolean;
  /** DEALER, ROUTER: an empty message is sent at each connection, so that a ROUTER peer learns the routing id at once. */
  readonly probeRouter?: boolean;
  /** Queue messages for completed connections only. */
  readonly immediate?: boolean;
  readonly ipv6?: boolean;
  readonly connectTimeout?: number;
  readonly handshakeTimeout?: number;
  readonly reconnectInterval?: number;
  /** Above 0 the interval doubles at each attempt up to this. */
  readonly reconnectIntervalMax?: number;
  /** ZMTP pings; `ttl` is what the peer is asked to wait for one. */
  readonly heartbeat?: { readonly interval: number; readonly timeout?: number; readonly ttl?: number };
  /** `idle` and `interval` in seconds. */
  readonly tcpKeepalive?: boolean | { readonly idle?: number; readonly interval?: number; readonly count?: number };
  readonly curve?: ZmqCurve;
}

type Plain = Exclude<
  keyof ZmqSocketOptions,
  "routingId" | "linger" | "maxMessageBytes" | "heartbeat" | "tcpKeepalive" | "curve"
>;

const plain: Readonly<Record<Plain, SocketOption>> = {
  sendHighWater: "SNDHWM",
  receiveHighWater: "RCVHWM",
  routerMandatory: "ROUTER_MANDATORY",
  routerHandover: "ROUTER_HANDOVER",
  probeRouter: "PROBE_ROUTER",
  immediate: "IMMEDIATE",
  ipv6: "IPV6",
  connectTimeout: "CONNECT_TIMEOUT",
  handshakeTimeout: "HANDSHAKE_IVL",
  reconnectInterval: "RECONNECT_IVL",
  reconnectIntervalMax: "RECONNECT_IVL_MAX",
};

export function applyOptions(socket: Address, options: ZmqSocketOptions): void {
  const number = (option: SocketOption, value: number | boolean | undefined): void => {
    if (value !== undefined) setNumber(socket, option, Number(value));
  };
  number("LINGER", options.linger ?? 0);
  for (const name of Object.keys(plain) as Plain[]) number(plain[name], options[name]);
  if (options.maxMessageBytes !== undefined) setNumber(socket, "MAXMSGSIZE", options.maxMessageBytes, 8);
  if (options.routingId !== undefined) setBytes(socket, "ROUTING_ID", toBytes(options.routingId));

  number("HEARTBEAT_IVL", options.heartbeat?.interval);
  number("HEARTBEAT_TIMEOUT", options.heartbeat?.timeout);
  number("HEARTBEAT_TTL", options.heartbeat?.ttl);

  const keepalive = options.tcpKeepalive;
  number("TCP_KEEPALIVE", typeof keepalive === "object" ? true : keepalive);
  if (typeof keepalive === "object") {
    number("TCP_KEEPALIVE_IDLE", keepalive.idle);
    number("TCP_KEEPALIVE_INTVL", keepalive.interval);
    number("TCP_KEEPALIVE_CNT", keepalive.count);
  }
  if (options.curve !== undefined) applyCurve(socket, options.curve);
}

function applyCurve(socket: Address, curve: ZmqCurve): void {
  if ("serverSecretKey" in curve) {
    setNumber(socket, "CURVE_SERVER", 1);
    setKey(socket, "CURVE_SECRETKEY", curve.serverSecretKey);
    return;
  }
  setKey(socket, "CURVE_SERVERKEY", curve.serverKey);
  setKey(socket, "CURVE_PUBLICKEY", curve.publicKey);
  setKey(socket, "CURVE_SECRETKEY", curve.secretKey);
}

/** Never shows the key: an error's message ends in logs. */
function setKey(socket: Address, option: SocketOption, key: string): void {
  const bytes = toBytes(key);
  if (bytes.length !== 40) {
    throw refusal("zmq_setsockopt", "EINVAL", `expected a Z85 key of 40 characters, got ${bytes.length}`, option);
  }
  setBytes(socket, option, bytes);
}

function toBytes(value: string | Uint8Array): Uint8Array {
  return typeof value === "string" ? new TextEncoder().encode(value) : value;
}
