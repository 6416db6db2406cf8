/** The words that ibv_devinfo prints for encoded values. */

const portStates: Record<string, [string, number]> = {
  DOWN: ["PORT_DOWN", 1],
  INIT: ["PORT_INIT", 2],
  ARMED: ["PORT_ARMED", 3],
  ACTIVE: ["PORT_ACTIVE", 4],
};

export function portState(state: string): string {
  const [name, value] = portStates[state] ?? ["invalid state", Number(state)];
  return `${name} (${value})`;
}

export function mtu(bytes: number): string {
  return `${bytes} (${Math.log2(bytes) - 7})`;
}

const transports: Record<string, [string, number]> = {
  IB: ["InfiniBand", 0],
  IWARP: ["iWARP", 1],
  USNIC: ["usNIC", 2],
  USNIC_UDP: ["usNIC UDP", 3],
  UNSPECIFIED: ["unspecified", 4],
};

export function transport(name: string): string {
  const [text, value] = transports[name] ?? ["invalid transport", -1];
  return `${text} (${value})`;
}

export function linkLayer(name: string): string {
  return name === "ETHERNET" ? "Ethernet" : name === "INFINIBAND" || name === "UNSPECIFIED" ? "InfiniBand" : "Unknown";
}

const atomics: Record<string, number> = { NONE: 0, HCA: 1, GLOB: 2 };

export function atomicCapability(name: string): string {
  return name in atomics ? `ATOMIC_${name} (${atomics[name]})` : `invalid atomic capability (${name})`;
}

function encoded(names: Readonly<Record<number, string>>, otherwise: string): (value: number) => string {
  return (value) => `${names[value] ?? otherwise} (${value})`;
}

export const width = encoded({ 1: "1X", 2: "4X", 4: "8X", 8: "12X", 16: "2X" }, "invalid widthX");

export const speed = encoded(
  {
    1: "2.5 Gbps",
    2: "5.0 Gbps",
    4: "10.0 Gbps",
    8: "10.0 Gbps",
    16: "14.0 Gbps",
    32: "25.0 Gbps",
    64: "50.0 Gbps",
    128: "100.0 Gbps",
  },
  "invalid speed",
);

export const virtualLanes = encoded({ 1: "1", 2: "2", 3: "4", 4: "8", 5: "15" }, "invalid value");

export const physicalState = encoded(
  {
    1: "SLEEP",
    2: "POLLING",
    3: "DISABLED",
    4: "PORT_CONFIGURATION TRAINNING",
    5: "LINK_UP",
    6: "LINK_ERROR_RECOVERY",
    7: "PHY TEST",
  },
  "invalid physical state",
);

export function guid(value: bigint): string {
  return value.toString(16).padStart(16, "0").match(/.{4}/g)!.join(":");
}
