// The entry points of libcuda and NVRTC that cuda/symbols.ts binds.
#include "stand-in.h"
#include <stdio.h>
#include <string.h>

const char *cudaGetErrorName(int status);
const char *cudaGetErrorString(int status);
int stand_in_version(void);

static const char image[] = "kvwire stand-in kernels";

int cuGetErrorName(int status, const char **text) { return *text = cudaGetErrorName(status), SUCCESS; }
int cuGetErrorString(int status, const char **text) { return *text = cudaGetErrorString(status), SUCCESS; }
int cuInit(unsigned flags) { LOCKED(flags == 0 ? SUCCESS : INVALID_VALUE); }
int cuDriverGetVersion(int *version) { LOCKED((*version = stand_in_version(), SUCCESS)); }
int cuDeviceGetName(char *name, int length, int device) {
  LOCKED((snprintf(name, (size_t)length, "kvwire stand-in %d (host memory)", device), SUCCESS));
}
int cuMemGetAddressRange_v2(uintptr_t *base, size_t *bytes, void *address) {
  LOCKED(!has_context ? INVALID_CONTEXT : memory_range(address, base, bytes) ? SUCCESS : INVALID_VALUE);
}
// Like some GPUs, it does not know the mapping through PCIe (flag 1).
static int dma_buf(int *fd, void *address, size_t bytes, int type, uint64_t flags) {
  if (!has_context) return INVALID_CONTEXT;
  if (!has_dma_buf() || flags != 0) return NOT_SUPPORTED;
  bool aligned = (uintptr_t)address % 4096 == 0 && bytes % 4096 == 0;
  return type == 1 && aligned ? memory_descriptor(address, fd) : INVALID_VALUE;
}
int cuMemGetHandleForAddressRange(void *fd, void *address, size_t bytes, int type, uint64_t flags) {
  LOCKED(dma_buf(fd, address, bytes, type, flags));
}
int cuPointerGetAttribute(int *value, int which, void *address) {
  uintptr_t base;
  size_t bytes;
  LOCKED(!has_context ? INVALID_CONTEXT : memory_range(address, &base, &bytes) ? (*value = which == 10, SUCCESS) : INVALID_VALUE);
}
int cuModuleLoadData(const void **module, const void *data) {
  LOCKED(!has_context ? INVALID_CONTEXT : memcmp(data, image, sizeof image) == 0 ? (*module = image, SUCCESS) : INVALID_IMAGE);
}
int cuModuleUnload(const void *module) { LOCKED(module == image ? SUCCESS : INVALID_HANDLE); }
int cuModuleGetFunction(const void **function, const void *module, const char *name) {
  LOCKED(module == image && (*function = find_kernel(name)) ? SUCCESS : NOT_FOUND);
}
int cuFuncGetAttribute(int *value, int which, const void *function) {
  (void)which, (void)function;
  LOCKED((*value = 0, SUCCESS));
}
int cuLaunchKernel(const void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, Stream *stream, void **parameters, void **extra) {
  (void)gy, (void)gz, (void)by, (void)bz, (void)shared;
  bool packed = !parameters && extra && extra[0] == (void *)1 && extra[2] == (void *)2 && !extra[4];
  if (!packed || gx == 0 || bx == 0 || bx > 1024) return INVALID_VALUE;
  LOCKED(!has_context ? INVALID_CONTEXT : submit_kernel(stream, function, extra[1], *(size_t *)extra[3]));
}

const char *nvrtcGetErrorString(int status) { return status ? "NVRTC_ERROR (stand-in)" : "NVRTC_SUCCESS"; }
int nvrtcVersion(int *major, int *minor) { return *major = 0, *minor = 1, SUCCESS; }
int nvrtcGetNumSupportedArchs(int *count) { return *count = 1, SUCCESS; }
int nvrtcGetSupportedArchs(int *list) { return *list = 0, SUCCESS; }
int nvrtcCreateProgram(const void **program, const char *source, const char *name, int headers, void *texts, void *names) {
  (void)source, (void)name, (void)headers, (void)texts, (void)names;
  return *program = image, SUCCESS;
}
int nvrtcDestroyProgram(const void **program) { return *program = NULL, SUCCESS; }
int nvrtcCompileProgram(const void *program, int count, const char **options) {
  (void)program, (void)count, (void)options;
  return SUCCESS;
}
int nvrtcGetCUBINSize(const void *program, size_t *bytes) { return (void)program, *bytes = sizeof image, SUCCESS; }
int nvrtcGetCUBIN(const void *program, char *cubin) { return (void)program, memcpy(cubin, image, sizeof image), SUCCESS; }
int nvrtcGetProgramLogSize(const void *program, size_t *bytes) { return (void)program, *bytes = 1, SUCCESS; }
int nvrtcGetProgramLog(const void *program, char *log) { return (void)program, *log = 0, SUCCESS; }
