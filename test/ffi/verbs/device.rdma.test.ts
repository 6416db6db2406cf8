import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Device } from "../../../ffi/verbs/index.ts";
import { describeRdma } from "../../rxe/describe.ts";
import { thrownBy } from "./support/loopback.ts";

describeRdma("a device", () => {
  test("is listed with name, GUID and transport", () => {
    const device = Device.list()[0]!;
    const guid = readFileSync(join(device.sysfsPath, "node_guid"), "utf8").trim();
    expect(device.nodeGuid.toString(16).padStart(16, "0")).toBe(guid.replaceAll(":", ""));
    expect(device.transport).toBe("IB");
    expect(device.nodeType).toBe("CA");
    expect(Device.find(device.name)).toEqual(device);
  });

  test("that does not exist is named, with those that do", () => {
    const error = thrownBy(() => Device.find("nothing7"));
    expect(error.code).toBe("NO_DEVICE");
    expect(error.message).toContain(Device.list()[0]!.name);
  });

  test("tells its attributes, the same by both verbs", () => {
    using context = Device.find().open();
    const plain = context.queryDevice();
    expect(plain.nodeGuid).toBe(context.device.nodeGuid);
    expect(plain.maxQueuePairs).toBeGreaterThan(0);
    expect(plain.maxScatterGather).toBeGreaterThan(0);
    expect(plain.pageSizes & 4096n).toBe(4096n);
    expect(plain.physicalPorts).toBeGreaterThan(0);
    expect(context.queryDeviceExtended()).toMatchObject({ ...plain });
  });

  test("tells its port", () => {
    using context = Device.find().open();
    const port = context.port(1).query();
    expect(port.state).toBe("ACTIVE");
    expect([256, 512, 1024, 2048, 4096]).toContain(port.activeMtu);
    expect(port.activeMtu).toBeLessThanOrEqual(port.maxMtu);
    expect(port.maxMessageSize).toBeGreaterThan(0);
  });

  test("refuses a port that it has not", () => {
    using context = Device.find().open();
    expect(thrownBy(() => context.port(99).query())).toMatchObject({ name: "VerbsError", verb: "ibv_query_port" });
    expect(thrownBy(() => context.port(0)).code).toBe("INVALID_ARGUMENT");
  });

  test("tells its GIDs, one by one and as a table", () => {
    using context = Device.find().open();
    const table = context.gids();
    expect(table.length).toBeGreaterThan(0);
    for (const { gid, index, port } of table) expect(context.port(port).gid(index).equals(gid)).toBe(true);
    const folder = join(context.device.sysfsPath, "ports/1");
    const first = context.port(1).gids()[0]!;
    expect(readFileSync(join(folder, "gids", String(first.index)), "utf8").trim()).toBe(first.gid.toLongString());
    expect(readFileSync(join(folder, "gid_attrs/ndevs", String(first.index)), "utf8").trim()).toBe(first.netdev!);
  });

  test("refuses a GID index beyond its table", () => {
    using context = Device.find().open();
    const { gidTableLength } = context.port(1).query();
    expect(thrownBy(() => context.port(1).gid(gidTableLength)).name).toBe("VerbsError");
  });

  test("tells its partition keys", () => {
    using context = Device.find().open();
    expect(context.port(1).partitionKey(0)).toBe(0xffff);
    expect(context.port(1).partitionKeyIndex(0xffff)).toBe(0);
    expect(thrownBy(() => context.port(1).partitionKeyIndex(0x1234))).toMatchObject({ verb: "ibv_get_pkey_index" });
    expect(thrownBy(() => context.port(1).partitionKey(9999)).name).toBe("VerbsError");
  });

  test("has no async event when nothing happened, without blocking", () => {
    using context = Device.find().open();
    expect(context.takeAsyncEvent()).toBeUndefined();
    expect(context.waitForAsyncEvent(1)).toBe(false);
  });

  test("says EOPNOTSUPP for device memory and XRC where it has none", () => {
    using context = Device.find().open();
    if (context.queryDeviceExtended().maxDeviceMemory > 0n) return;
    expect(thrownBy(() => context.allocateDeviceMemory({ byteLength: 64 }))).toMatchObject({
      name: "VerbsError",
      code: "EOPNOTSUPP",
      verb: "ibv_alloc_dm",
    });
    expect(thrownBy(() => context.openXrcDomain())).toMatchObject({
      name: "VerbsError",
      code: "EOPNOTSUPP",
      verb: "ibv_open_xrcd",
    });
  });

  test("closes once, and says CLOSED afterwards", () => {
    const context = Device.find().open();
    context.close();
    context.close();
    expect(context.closed).toBe(true);
    expect(thrownBy(() => context.queryDevice()).code).toBe("CLOSED");
    expect(thrownBy(() => context.allocateProtectionDomain()).code).toBe("CLOSED");
    expect(thrownBy(() => context.takeAsyncEvent()).code).toBe("CLOSED");
  });
});
