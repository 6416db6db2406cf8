// What a test can turn: environment variables read once, and functions it can call.
#define _GNU_SOURCE
#include "stand-in.h"
#include <stdlib.h>
#include <string.h>

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
volatile int callers;

static long setting(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtol(text, NULL, 10) : otherwise;
}

int device_count(void) {
  long count = setting("KVWIRE_STAND_IN_DEVICES", 2);
  return count < 0 ? 0 : count > MAX_DEVICES ? MAX_DEVICES : (int)count;
}

bool peers_reach_each_other(void) { return setting("KVWIRE_STAND_IN_PEERS", 1) != 0; }

bool has_dma_buf(void) { return setting("KVWIRE_STAND_IN_DMA_BUF", 1) != 0; }

uint32_t longest_delay_us(void) { return (uint32_t)setting("KVWIRE_STAND_IN_DELAY_US", 50); }

// xorshift32, seeded once: with one seed and one order of calls, streams take their turns in one order.
uint32_t draw(uint32_t below) {
  static uint32_t state;
  if (state == 0) state = (uint32_t)setting("KVWIRE_STAND_IN_SEED", 1) * 2654435761u | 1u;
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return below ? state % below : 0;
}

static struct {
  char call[64];
  int countdown, status;
} failure;

// The n-th call of `call` from now (1 is the next) answers `status`; "copy" and "kernel" fail while they run.
void kvwire_stand_in_fail(const char *call, int n, int status) {
  pthread_mutex_lock(&lock);
  strncpy(failure.call, call, sizeof failure.call - 1);
  failure.countdown = n;
  failure.status = status;
  pthread_mutex_unlock(&lock);
}

// KVWIRE_STAND_IN_FAIL=call:n:status asks for the same from outside.
__attribute__((constructor)) static void read_demand(void) {
  const char *text = getenv("KVWIRE_STAND_IN_FAIL");
  const char *first = text ? strchr(text, ':') : NULL, *second = first ? strchr(first + 1, ':') : NULL;
  if (!second || (size_t)(first - text) >= sizeof failure.call) return;
  memcpy(failure.call, text, (size_t)(first - text));
  failure.countdown = atoi(first + 1);
  failure.status = atoi(second + 1);
}

int demanded_failure(const char *call) {
  if (failure.countdown == 0 || strcmp(failure.call, call) != 0) return SUCCESS;
  return --failure.countdown == 0 ? failure.status : SUCCESS;
}

// What is alive in this process: 0 device allocations, 1 pinned, 2 registered, 3 peers' mappings, 4 streams, 5 events.
int kvwire_stand_in_alive(int what) {
  pthread_mutex_lock(&lock);
  int count = what < 4 ? memory_count((enum memory_kind)what) : what == 4 ? stream_count() : event_count();
  pthread_mutex_unlock(&lock);
  return count;
}
