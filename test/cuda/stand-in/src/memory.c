// Device memory in memfds. Programs see addresses in a reserved range without access rights, so that a program which
// follows a device pointer on the CPU dies as it should; the bytes are mapped a second time for the stand-in alone.
#define _GNU_SOURCE
#include "stand-in.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const size_t arena_bytes = 1ull << 40, page = 1 << 21;
static const uint64_t memory_magic = 0x6b76776972656d65;
static char *arena, *next_free;

// Shared by the exporter and everyone who opened the memory: tells a write that the allocation is gone.
typedef struct {
  volatile int freed;
} Header;
enum { HEADER_BYTES = 4096 };

struct Memory {
  enum memory_kind kind;
  uintptr_t address;
  size_t bytes;
  int device, mapped_for, fd, opens;
  uint64_t serial;
  int owner_pid;
  char *mapping;
  Memory *next;
};
static Memory *memories;
static bool reach[MAX_DEVICES][MAX_DEVICES];
_Thread_local int current_device;
_Thread_local bool has_context;

static Memory *containing(uintptr_t address, size_t bytes) {
  for (Memory *m = memories; m; m = m->next)
    if (address >= m->address && address + bytes <= m->address + m->bytes) return m;
  return NULL;
}

static bool in_arena(uintptr_t address) {
  return arena && address >= (uintptr_t)arena && address < (uintptr_t)arena + arena_bytes;
}

// Addresses are never used twice, so that a stale one is always found out.
static uintptr_t reserve(size_t bytes) {
  if (!arena) {
    arena = mmap(NULL, arena_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) abort();
    next_free = (char *)(((uintptr_t)arena + page) & ~(page - 1));
  }
  size_t whole = (bytes + page - 1) & ~(page - 1);
  if (next_free + whole > arena + arena_bytes) return 0;
  char *address = next_free;
  next_free += whole + page;
  return (uintptr_t)address;
}

static Memory *link_memory(Memory values) {
  Memory *memory = malloc(sizeof *memory);
  *memory = values;
  memory->next = memories;
  return memories = memory;
}

int memory_make(enum memory_kind kind, size_t bytes, void **address) {
  static uint64_t serial;
  Memory made = {.kind = kind, .bytes = bytes, .device = current_device, .mapped_for = current_device, .fd = -1, .opens = 1};
  if (bytes == 0) return *address = NULL, SUCCESS;
  if (kind == PINNED) {
    made.mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made.mapping == MAP_FAILED) return OUT_OF_MEMORY;
    made.address = (uintptr_t)made.mapping;
  } else {
    made.fd = memfd_create("kvwire stand-in device memory", MFD_CLOEXEC);
    if (made.fd < 0) return OUT_OF_MEMORY;
    size_t whole = HEADER_BYTES + bytes;
    if (ftruncate(made.fd, (off_t)whole) != 0 || (made.address = reserve(bytes)) == 0) return close(made.fd), OUT_OF_MEMORY;
    made.mapping = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, made.fd, 0);
    if (made.mapping == MAP_FAILED) return close(made.fd), OUT_OF_MEMORY;
    made.serial = ++serial;
    made.owner_pid = getpid();
  }
  *address = (void *)link_memory(made)->address;
  return SUCCESS;
}

int memory_register(void *address, size_t bytes) {
  if (!address || bytes == 0) return INVALID_VALUE;
  if (containing((uintptr_t)address, 1)) return ALREADY_REGISTERED;
  link_memory((Memory){.kind = REGISTERED, .address = (uintptr_t)address, .bytes = bytes, .fd = -1, .opens = 1});
  return SUCCESS;
}

int memory_drop(enum memory_kind kind, void *address) {
  if (!address) return SUCCESS;
  for (Memory **at = &memories; *at; at = &(*at)->next) {
    Memory *memory = *at;
    if (memory->address != (uintptr_t)address || memory->kind != kind) continue;
    if (--memory->opens > 0) return SUCCESS;
    *at = memory->next;
    if (kind == DEVICE) ((Header *)memory->mapping)->freed = 1;
    if (kind == DEVICE || kind == PEER) munmap(memory->mapping, HEADER_BYTES + memory->bytes);
    if (kind == PINNED) munmap(memory->mapping, memory->bytes);
    if (memory->fd >= 0) close(memory->fd);
    free(memory);
    return SUCCESS;
  }
  return kind == REGISTERED ? NOT_REGISTERED : INVALID_VALUE;
}

int memory_export(void *address, Handle *handle) {
  Memory *memory = containing((uintptr_t)address, 1);
  if (!memory || memory->kind != DEVICE || memory->address != (uintptr_t)address) return INVALID_VALUE;
  Ticket ticket = {memory_magic, getpid(), memory->fd, memory->device, 0, memory->serial, memory->bytes};
  memset(handle, 0, sizeof *handle);
  memcpy(handle, &ticket, sizeof ticket);
  return SUCCESS;
}

int open_ticket(const Ticket *ticket) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd/%d", ticket->pid, ticket->fd);
  return open(path, O_RDWR | O_CLOEXEC);
}

int memory_import(const Handle *handle, void **address) {
  Ticket ticket;
  memcpy(&ticket, handle, sizeof ticket);
  if (ticket.magic != memory_magic) return INVALID_VALUE;
  if (ticket.pid == getpid()) return INVALID_CONTEXT;
  if (ticket.device != current_device && !peers_reach_each_other()) return PEER_UNSUPPORTED;
  for (Memory *m = memories; m; m = m->next) {
    if (m->kind != PEER || m->owner_pid != ticket.pid || m->serial != ticket.serial) continue;
    m->opens++;
    return *address = (void *)m->address, SUCCESS;
  }
  int fd = open_ticket(&ticket);
  if (fd < 0) return MAP_FAILED_STATUS;
  char *mapping = mmap(NULL, HEADER_BYTES + ticket.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapping == MAP_FAILED) return MAP_FAILED_STATUS;
  if (((Header *)mapping)->freed) return munmap(mapping, HEADER_BYTES + ticket.bytes), MAP_FAILED_STATUS;
  Memory *memory = link_memory((Memory){.kind = PEER, .address = reserve(ticket.bytes), .bytes = ticket.bytes,
                                        .device = ticket.device, .mapped_for = current_device, .fd = -1, .opens = 1,
                                        .serial = ticket.serial, .owner_pid = ticket.pid, .mapping = mapping});
  return *address = (void *)memory->address, SUCCESS;
}

bool memory_range(const void *address, uintptr_t *base, size_t *bytes) {
  Memory *memory = containing((uintptr_t)address, 1);
  if (!memory || !in_arena((uintptr_t)address)) return false;
  *base = memory->address;
  *bytes = memory->bytes;
  return true;
}

int memory_descriptor(const void *address, int *fd) {
  Memory *memory = containing((uintptr_t)address, 1);
  if (!memory || memory->kind != DEVICE) return INVALID_VALUE;
  *fd = fcntl(memory->fd, F_DUPFD_CLOEXEC, 0);
  return *fd < 0 ? OUT_OF_MEMORY : SUCCESS;
}

void memory_attributes(const void *address, int *type, int *device) {
  Memory *memory = containing((uintptr_t)address, 1);
  *type = !memory ? 0 : in_arena((uintptr_t)address) ? 2 : 1;
  *device = memory ? memory->device : -2;
}

void *memory_translate(uintptr_t address, size_t bytes, int device) {
  if (!in_arena(address)) return (void *)address;
  Memory *memory = containing(address, bytes);
  if (!memory || ((Header *)memory->mapping)->freed) return NULL;
  bool reachable = device < 0 || memory->device == device || memory->mapped_for == device || reach[device][memory->device];
  return reachable ? memory->mapping + HEADER_BYTES + (address - memory->address) : NULL;
}

bool enable_peer(int peer) {
  bool before = reach[current_device][peer];
  reach[current_device][peer] = true;
  return !before;
}

int memory_count(enum memory_kind kind) {
  int count = 0;
  for (Memory *m = memories; m; m = m->next) count += m->kind == kind;
  return count;
}
