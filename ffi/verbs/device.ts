import { accessSync, constants as fileConstants, existsSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { unsafeReadAddress, unsafeReadCString, NativeBuffer, type Address } from "../runtime/index.ts";
import { lastErrno, nameOf, NodeType, structs, TransportType, unsafeReadField, verbs } from "./abi/index.ts";
import { Context } from "./context.ts";
import { VerbsError, VerbsUserError } from "./errors.ts";

const NO_DEVICE_HINT =
  "no RDMA device; soft-RoCE makes one from any network interface: `modprobe rdma_rxe && rdma link add rxe0 type rxe netdev eth0`";

/** An RDMA device as the kernel lists it. A plain record: only an opened device has native state. */
export class Device {
  /** The kernel's name, such as "mlx5_0". */
  readonly name: string;
  readonly nodeType: keyof typeof NodeType | (string & {});
  readonly transport: keyof typeof TransportType | (string & {});
  /** In host order. */
  readonly nodeGuid: bigint;
  /** The device's folder in sysfs. */
  readonly sysfsPath: string;

  private constructor(address: Address) {
    const { symbols } = verbs();
    this.name = unsafeReadCString(symbols.ibv_get_device_name(address));
    this.nodeType = nameOf(NodeType, unsafeReadField(address, structs.device, "node_type"));
    this.transport = nameOf(TransportType, unsafeReadField(address, structs.device, "transport_type"));
    this.nodeGuid = swap64(BigInt(symbols.ibv_get_device_guid(address)));
    const { offset, size } = structs.device.fields.ibdev_path;
    this.sysfsPath = unsafeReadCString(address + offset, size);
  }

  /** All devices of this machine, in the library's order; none is an empty list, not an error. */
  static list(): Device[] {
    return withDeviceList((addresses) => addresses.map((address) => new Device(address)));
  }

  /**
   * The device of that name, or the first one.
   * @throws {VerbsUserError} "NO_DEVICE" with what to type where there is none.
   */
  static find(name?: string): Device {
    const devices = Device.list();
    const device = name === undefined ? devices[0] : devices.find((candidate) => candidate.name === name);
    if (device) return device;
    const names = devices.map((candidate) => candidate.name).join(", ");
    throw new VerbsUserError("NO_DEVICE", names ? `no RDMA device "${name}"; there are ${names}` : NO_DEVICE_HINT);
  }

  /** @throws {VerbsError} EACCES or EPERM without permission on the device file; {VerbsUserError} when it has gone. */
  open(): Context {
    return withDeviceList((addresses) => {
      const { symbols } = verbs();
      const found = addresses.find((item) => unsafeReadCString(symbols.ibv_get_device_name(item)) === this.name);
      if (found === undefined) throw new VerbsUserError("NO_DEVICE", `RDMA device "${this.name}" has gone`);
      const context = symbols.ibv_open_device(found);
      if (context === 0) throw openError(lastErrno(), found);
      return Context.unsafeAdopt(context, this);
    });
  }
}

/**
 * libibverbs tries other names after the first file refused it, so errno may say ENOENT where permission is missing: the
 * file itself is asked.
 */
function openError(errno: number, device: Address): VerbsError {
  const { offset, size } = structs.device.fields.dev_name;
  const file = join("/dev/infiniband", unsafeReadCString(device + offset, size));
  if (!existsSync(file)) return new VerbsError("ibv_open_device", constants.errno.ENOENT, file);
  try {
    accessSync(file, fileConstants.R_OK | fileConstants.W_OK);
    return new VerbsError("ibv_open_device", errno, file);
  } catch {
    return new VerbsError("ibv_open_device", constants.errno.EACCES, file);
  }
}

/** The pointers are valid only until the list is freed, unless the device was opened meanwhile. */
function withDeviceList<T>(use: (addresses: Address[]) => T): T {
  const { symbols } = verbs();
  const count = NativeBuffer.allocate(4);
  const list = symbols.ibv_get_device_list(count.address);
  if (list === 0) {
    const errno = lastErrno();
    // No RDMA in the kernel at all: that, too, is a machine without a device.
    if (errno === constants.errno.ENOSYS) return use([]);
    throw new VerbsError("ibv_get_device_list", errno);
  }
  try {
    return use(Array.from({ length: count.i32[0]! }, (_, index) => unsafeReadAddress(list, index * 8)));
  } finally {
    symbols.ibv_free_device_list(list);
  }
}

function swap64(value: bigint): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value, true);
  return view.getBigUint64(0);
}
