/** Numbers of zmq.h 4.3.5. @module */

export const socketTypes = { pair: 0, dealer: 5, router: 6, pull: 7, push: 8 } as const;

export type ZmqSocketType = keyof typeof socketTypes;

export const contextOptions = { IO_THREADS: 1, MAX_SOCKETS: 2, IPV6: 42 } as const;

export const socketOptions = {
  ROUTING_ID: 5,
  FD: 14,
  EVENTS: 15,
  LINGER: 17,
  RECONNECT_IVL: 18,
  RECONNECT_IVL_MAX: 21,
  MAXMSGSIZE: 22,
  SNDHWM: 23,
  RCVHWM: 24,
  LAST_ENDPOINT: 32,
  ROUTER_MANDATORY: 33,
  TCP_KEEPALIVE: 34,
  TCP_KEEPALIVE_CNT: 35,
  TCP_KEEPALIVE_IDLE: 36,
  TCP_KEEPALIVE_INTVL: 37,
  IMMEDIATE: 39,
  IPV6: 42,
  CURVE_SERVER: 47,
  CURVE_PUBLICKEY: 48,
  CURVE_SECRETKEY: 49,
  CURVE_SERVERKEY: 50,
  PROBE_ROUTER: 51,
  ROUTER_HANDOVER: 56,
  HANDSHAKE_IVL: 66,
  HEARTBEAT_IVL: 75,
  HEARTBEAT_TTL: 76,
  HEARTBEAT_TIMEOUT: 77,
  CONNECT_TIMEOUT: 79,
} as const;

export const sendFlags = { DONTWAIT: 1, SNDMORE: 2 } as const;

/** Bits of `events` and `revents` in zmq_pollitem_t, and of a socket's `events`. */
export const pollEvents = { POLLIN: 1, POLLOUT: 2, POLLERR: 4 } as const;

/** libzmq's own error numbers; all others are the system's. */
export const zmqErrorNumbers = {
  EFSM: 156_384_763,
  ENOCOMPATPROTO: 156_384_764,
  ETERM: 156_384_765,
  EMTHREAD: 156_384_766,
} as const;
