import { type Architecture, hostArchitecture, type StructLayout } from "./layout.ts";
import * as completion from "./layouts/completion.ts";
import * as context from "./layouts/context.ts";
import * as device from "./layouts/device.ts";
import * as memory from "./layouts/memory.ts";
import * as port from "./layouts/port.ts";
import * as queuePair from "./layouts/queue-pair.ts";
import * as workRequest from "./layouts/work-request.ts";

/** Every struct of libibverbs that this project reads or writes, by what it is, for one architecture. */
export function structsFor(architecture: Architecture) {
  return {
    context: context.contextLayout(architecture),
    extendedContext: context.extendedContextLayout(architecture),
    device: device.device,
    deviceAttributes: device.deviceAttributes,
    extendedDeviceAttributes: device.extendedDeviceAttributes,
    asyncEvent: device.asyncEvent,
    portAttributes: port.portAttributes,
    gid: port.gid,
    gidEntry: port.gidEntry,
    globalRoute: port.globalRoute,
    globalRouteHeader: port.globalRouteHeader,
    addressHandleAttributes: port.addressHandleAttributes,
    protectionDomain: memory.protectionDomain,
    memoryRegion: memory.memoryRegion,
    memoryWindow: memory.memoryWindow,
    memoryWindowBindInfo: memory.memoryWindowBindInfo,
    memoryWindowBind: memory.memoryWindowBind,
    deviceMemory: memory.deviceMemory,
    deviceMemoryAttributes: memory.deviceMemoryAttributes,
    xrcDomainAttributes: memory.xrcDomainAttributes,
    scatterGatherEntry: memory.scatterGatherEntry,
    workCompletion: completion.workCompletion,
    completionChannel: completion.completionChannel,
    completionQueue: completion.completionQueueLayout(architecture),
    modifyCompletionQueue: completion.modifyCompletionQueue,
    queuePair: queuePair.queuePairLayout(architecture),
    queuePairCapabilities: queuePair.queuePairCapabilities,
    queuePairInitAttributes: queuePair.queuePairInitAttributes,
    extendedQueuePairInitAttributes: queuePair.extendedQueuePairInitAttributes,
    queuePairAttributes: queuePair.queuePairAttributes,
    sharedReceiveQueue: queuePair.sharedReceiveQueueLayout(architecture),
    sharedReceiveQueueAttributes: queuePair.sharedReceiveQueueAttributes,
    sharedReceiveQueueInitAttributes: queuePair.sharedReceiveQueueInitAttributes,
    sendWorkRequest: workRequest.sendWorkRequest,
    receiveWorkRequest: workRequest.receiveWorkRequest,
  } as const satisfies Record<string, StructLayout>;
}

/** The tables for the architecture of this process. */
export const structs = structsFor(hostArchitecture);
