// The entry points of libcudart that cuda/symbols.ts binds. KVWIRE_STAND_IN_MAJOR (12 or 13) chooses the form of the batch copy.
#include "stand-in.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int answer(int *out, int value) { return *out = value, SUCCESS; }
static bool is_device(int device) { return device >= 0 && device < device_count(); }
static int major_version(void) {
  const char *text = getenv("KVWIRE_STAND_IN_MAJOR");
  return text && strcmp(text, "12") == 0 ? 12 : 13;
}
int stand_in_version(void) { return major_version() == 12 ? 12090 : 13000; }

int cudaRuntimeGetVersion(int *version) { LOCKED(answer(version, stand_in_version())); }
int cudaDriverGetVersion(int *version) { LOCKED(answer(version, stand_in_version())); }
int cudaGetLastError(void) { return SUCCESS; }

static const struct {
  int status;
  const char *name, *text;
} statuses[] = {
    {SUCCESS, "cudaSuccess", "no error"},
    {INVALID_VALUE, "cudaErrorInvalidValue", "invalid argument"},
    {OUT_OF_MEMORY, "cudaErrorMemoryAllocation", "out of memory"},
    {NO_DEVICE, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {INVALID_IMAGE, "cudaErrorInvalidKernelImage", "device kernel image is invalid"},
    {INVALID_CONTEXT, "cudaErrorDeviceUninitialized", "invalid device context"},
    {MAP_FAILED_STATUS, "cudaErrorMapBufferObjectFailed", "mapping of buffer object failed"},
    {PEER_UNSUPPORTED, "cudaErrorPeerAccessUnsupported", "peer access is not supported between these two devices"},
    {INVALID_HANDLE, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {NOT_FOUND, "cudaErrorSymbolNotFound", "named symbol not found"},
    {NOT_READY, "cudaErrorNotReady", "device not ready"},
    {ILLEGAL_ADDRESS, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {PEER_ALREADY_ENABLED, "cudaErrorPeerAccessAlreadyEnabled", "peer access is already enabled"},
    {ALREADY_REGISTERED, "cudaErrorHostMemoryAlreadyRegistered", "part or all of the memory is already mapped"},
    {NOT_REGISTERED, "cudaErrorHostMemoryNotRegistered", "pointer does not correspond to a registered memory region"},
    {LAUNCH_FAILURE, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {NOT_SUPPORTED, "cudaErrorNotSupported", "operation not supported"},
};
static size_t status_index(int status) {
  size_t count = sizeof statuses / sizeof *statuses;
  for (size_t i = 0; i < count; i++)
    if (statuses[i].status == status) return i;
  return count;
}
const char *cudaGetErrorName(int status) {
  size_t i = status_index(status);
  return i < sizeof statuses / sizeof *statuses ? statuses[i].name : "unrecognized error code";
}
const char *cudaGetErrorString(int status) {
  size_t i = status_index(status);
  return i < sizeof statuses / sizeof *statuses ? statuses[i].text : "unrecognized error code";
}

int cudaGetDeviceCount(int *count) { LOCKED((*count = device_count()) > 0 ? SUCCESS : NO_DEVICE); }
static int select_device(int device) {
  if (!is_device(device)) return INVALID_DEVICE;
  has_context = true;
  return answer(&current_device, device);
}
int cudaSetDevice(int device) { LOCKED(select_device(device)); }

static int attribute(int which) {
  switch (which) {
    case 16: return 2;   // multiprocessors
    case 40: return 1;   // copy engines
    case 124: return has_dma_buf();
    case 125: return 1;  // interprocess events
    case 134: return -1; // NUMA node
    default: return 0;   // compute capability 0.0 and nothing of GPUDirect
  }
}
int cudaDeviceGetAttribute(int *value, int which, int device) {
  LOCKED(is_device(device) ? answer(value, attribute(which)) : INVALID_DEVICE);
}
int cudaDeviceGetPCIBusId(char *text, int length, int device) {
  LOCKED(is_device(device) ? (snprintf(text, (size_t)length, "FFFF:%02X:00.0", device), SUCCESS) : INVALID_DEVICE);
}
static int by_bus_id(int *device, const char *text) {
  unsigned bus;
  if (sscanf(text, "%*x:%x:", &bus) != 1 || !is_device((int)bus)) return INVALID_DEVICE;
  return answer(device, (int)bus);
}
int cudaDeviceGetByPCIBusId(int *device, const char *text) { LOCKED(by_bus_id(device, text)); }
static int can_access(int *can, int device, int peer) {
  if (!is_device(device) || !is_device(peer)) return INVALID_DEVICE;
  return answer(can, device != peer && peers_reach_each_other());
}
int cudaDeviceCanAccessPeer(int *can, int device, int peer) { LOCKED(can_access(can, device, peer)); }
int cudaDeviceGetP2PAttribute(int *value, int which, int device, int peer) {
  LOCKED(which == 2 ? can_access(value, device, peer) : answer(value, 0));
}
static int enable(int peer) {
  if (!is_device(peer)) return INVALID_DEVICE;
  if (!peers_reach_each_other()) return PEER_UNSUPPORTED;
  return enable_peer(peer) ? SUCCESS : PEER_ALREADY_ENABLED;
}
int cudaDeviceEnablePeerAccess(int peer, unsigned flags) { LOCKED(flags == 0 ? enable(peer) : INVALID_VALUE); }
int cudaDeviceDisablePeerAccess(int peer) { LOCKED(is_device(peer) ? NOT_SUPPORTED : INVALID_DEVICE); }

int cudaMemGetInfo(size_t *free_bytes, size_t *total) { LOCKED((*free_bytes = *total = 1ull << 30, SUCCESS)); }
int cudaMalloc(void **address, size_t bytes) { LOCKED(memory_make(DEVICE, bytes, address)); }
int cudaFree(void *address) { LOCKED(memory_drop(DEVICE, address)); }
int cudaHostAlloc(void **address, size_t bytes, unsigned flags) { (void)flags; LOCKED(memory_make(PINNED, bytes, address)); }
int cudaFreeHost(void *address) { LOCKED(memory_drop(PINNED, address)); }
int cudaHostRegister(void *address, size_t bytes, unsigned flags) { (void)flags; LOCKED(memory_register(address, bytes)); }
int cudaHostUnregister(void *address) { LOCKED(memory_drop(REGISTERED, address)); }

struct attributes {
  int type, device;
  void *device_pointer, *host_pointer;
};
static int attributes(struct attributes *out, const void *address) {
  memory_attributes(address, &out->type, &out->device);
  out->device_pointer = out->type ? (void *)address : NULL;
  out->host_pointer = out->type != 2 ? (void *)address : NULL;
  return SUCCESS;
}
int cudaPointerGetAttributes(struct attributes *out, const void *address) { LOCKED(attributes(out, address)); }

int cudaIpcGetMemHandle(Handle *handle, void *address) { LOCKED(memory_export(address, handle)); }
// The handle comes by value, as in the real library: this is where a wrong calling convention would show.
int cudaIpcOpenMemHandle(void **address, Handle handle, unsigned flags) {
  LOCKED(flags == 1 ? memory_import(&handle, address) : INVALID_VALUE);
}
int cudaIpcCloseMemHandle(void *address) { LOCKED(memory_drop(PEER, address)); }
int cudaIpcGetEventHandle(Handle *handle, Event *event) { LOCKED(event_export(event, handle)); }
int cudaIpcOpenEventHandle(Event **event, Handle handle) { LOCKED(event_import(&handle, event)); }

int cudaStreamCreateWithFlags(Stream **stream, unsigned flags) { LOCKED(flags == 1 ? stream_make(stream) : INVALID_VALUE); }
int cudaStreamDestroy(Stream *stream) { LOCKED(stream_drop(stream)); }
int cudaStreamQuery(Stream *stream) { LOCKED(stream_state(stream)); }
int cudaStreamWaitEvent(Stream *stream, Event *event, unsigned flags) { LOCKED(flags == 0 ? event_wait(stream, event) : INVALID_VALUE); }
int cudaEventCreateWithFlags(Event **event, unsigned flags) { LOCKED(event_make(flags, event)); }
int cudaEventRecord(Event *event, Stream *stream) { LOCKED(event_record(event, stream)); }
int cudaEventQuery(Event *event) { LOCKED(event_state(event)); }
int cudaEventDestroy(Event *event) { LOCKED(event_drop(event)); }
int cudaEventElapsedTime(float *ms, Event *start, Event *end) { LOCKED(event_elapsed(ms, start, end)); }

int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind, Stream *stream) {
  LOCKED(kind == 4 ? submit_copy(stream, to, from, bytes) : INVALID_VALUE);
}
int cudaMemcpyPeerAsync(void *to, int to_device, const void *from, int from_device, size_t bytes, Stream *stream) {
  LOCKED(is_device(to_device) && is_device(from_device) ? submit_copy(stream, to, from, bytes) : INVALID_DEVICE);
}
int cudaMemsetAsync(void *to, int value, size_t bytes, Stream *stream) { LOCKED(submit_fill(stream, to, value, bytes)); }

struct copy_attributes {
  int access_order, source_hint[2], destination_hint[2];
  unsigned flags;
};
static int batch(void **to, void **from, const size_t *bytes, size_t count, const struct copy_attributes *attrs,
                 const size_t *firsts, size_t attr_count, Stream *stream) {
  if (count == 0 || attr_count != 1 || firsts[0] != 0 || attrs->access_order != 1 || !stream) return INVALID_VALUE;
  for (size_t i = 0; i < count; i++) {
    int status = submit_copy(stream, to[i], from[i], bytes[i]);
    if (status != SUCCESS) return status;
  }
  return SUCCESS;
}
// Integer arguments beyond those passed are indeterminate, so the ninth is only looked at in the form that has it.
int cudaMemcpyBatchAsync(void **to, void **from, const size_t *bytes, size_t count, const struct copy_attributes *attrs,
                         const size_t *firsts, size_t attr_count, void *eighth, void *ninth) {
  LOCKED(batch(to, from, bytes, count, attrs, firsts, attr_count, major_version() == 12 ? ninth : eighth));
}
