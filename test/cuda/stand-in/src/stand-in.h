// A stand-in for libcudart, libcuda and NVRTC: "device memory" is host memory in a memfd, streams are queues that one thread
// drains in a seeded order. For tests on machines without a GPU; it says nothing about speed.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  NO_DEVICE = 100,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201,
  MAP_FAILED_STATUS = 205,
  PEER_UNSUPPORTED = 217,
  INVALID_HANDLE = 400,
  NOT_FOUND = 500,
  NOT_READY = 600,
  ILLEGAL_ADDRESS = 700,
  PEER_ALREADY_ENABLED = 704,
  ALREADY_REGISTERED = 712,
  NOT_REGISTERED = 713,
  LAUNCH_FAILURE = 719,
  NOT_SUPPORTED = 801,
};

enum { MAX_DEVICES = 8 };
typedef struct {
  char bytes[64];
} Handle;

// ---- control.c: what the tests turn
extern pthread_mutex_t lock;
// Callers that want the lock: the thread that drains the streams lets them go first.
extern volatile int callers;
int device_count(void);
bool peers_reach_each_other(void);
bool has_dma_buf(void);
uint32_t draw(uint32_t below);
uint32_t longest_delay_us(void);
// The status that the call must answer because a test asked for it, or SUCCESS.
int demanded_failure(const char *call);
// An entry point: answers `body`, under the lock, unless a test asked for something else.
#define LOCKED(body)                                        \
  do {                                                      \
    __atomic_add_fetch(&callers, 1, __ATOMIC_SEQ_CST);      \
    pthread_mutex_lock(&lock);                              \
    __atomic_sub_fetch(&callers, 1, __ATOMIC_SEQ_CST);      \
    int status = demanded_failure(__func__);                \
    if (status == SUCCESS) status = (body);                 \
    pthread_mutex_unlock(&lock);                            \
    return status;                                          \
  } while (0)

// ---- memory.c
enum memory_kind { DEVICE, PINNED, REGISTERED, PEER };
typedef struct Memory Memory;
// The calling thread's device, as cudaSetDevice left it.
extern _Thread_local int current_device;
// The driver's own calls work on the context of the calling thread, which only the runtime's calls give it.
extern _Thread_local bool has_context;
int memory_make(enum memory_kind kind, size_t bytes, void **address);
int memory_register(void *address, size_t bytes);
int memory_drop(enum memory_kind kind, void *address);
int memory_export(void *address, Handle *handle);
int memory_import(const Handle *handle, void **address);
bool memory_range(const void *address, uintptr_t *base, size_t *bytes);
// A descriptor for the whole allocation, which the caller owns.
int memory_descriptor(const void *address, int *fd);
void memory_attributes(const void *address, int *type, int *device);
// Where the bytes really are: NULL for a device address that is not, or no longer, allocated, or (for kernels, which pass
// the device they run on) that the device cannot reach. -1 reaches everything: copies are staged where they must be.
void *memory_translate(uintptr_t address, size_t bytes, int device);
bool enable_peer(int peer);
int memory_count(enum memory_kind kind);

// ---- scheduler.c
typedef struct Stream Stream;
typedef struct Event Event;
// One step of an operation: true when it is complete. A step that finds an address bad returns a status through `status`.
typedef bool (*Step)(void *state, int device, int *status);
int stream_make(Stream **stream);
int stream_drop(Stream *stream);
int stream_state(Stream *stream);
int stream_submit(Stream *stream, Step step, const void *state, size_t bytes);
int event_make(unsigned flags, Event **event);
int event_drop(Event *event);
int event_state(Event *event);
int event_record(Event *event, Stream *stream);
int event_wait(Stream *stream, Event *event);
int event_elapsed(float *ms, Event *start, Event *end);
int event_export(Event *event, Handle *handle);
int event_import(const Handle *handle, Event **event);
int stream_count(void);
int event_count(void);
// Device memory that another process can open: a memfd mapped here, and the way to it in 64 bytes.
typedef struct {
  uint64_t magic;
  int32_t pid, fd, device, reserved;
  uint64_t serial, bytes;
} Ticket;
int open_ticket(const Ticket *ticket);

// ---- operations.c
int submit_copy(Stream *stream, void *to, const void *from, size_t bytes);
int submit_fill(Stream *stream, void *to, int value, size_t bytes);
const void *find_kernel(const char *name);
int submit_kernel(Stream *stream, const void *kernel, const void *parameters, size_t bytes);
