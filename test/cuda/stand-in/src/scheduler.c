// Streams are queues; one thread takes a step of one queue's first operation at a time, which one is drawn. So work is late,
// streams overtake each other, and nothing is ever reordered within a stream.
#define _GNU_SOURCE
#include "stand-in.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef struct Operation Operation;
struct Operation {
  Step step;
  Operation *next;
  _Alignas(16) char state[];
};

struct Stream {
  Operation *first, **last;
  int device;
  bool dropped;
  Stream *next;
};

// What processes share of an event: marks are numbered, and the highest one passed is kept.
typedef struct {
  volatile uint64_t recorded, passed;
  double ms;
} Marks;

struct Event {
  Marks *marks;
  unsigned flags;
  int fd, users, device;
  bool dropped;
};

enum { BLOCKING = 1, NO_TIMING = 2, INTERPROCESS = 4 };
static const uint64_t event_magic = 0x6b76776972656576;

static Stream *streams;
static int live_streams, live_events;
static int device_status[MAX_DEVICES];
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

typedef struct {
  Event *event;
  uint64_t mark;
} Mark;

static void release_event(Event *event) {
  if (event->users > 0 || !event->dropped) return;
  munmap(event->marks, sizeof *event->marks);
  if (event->fd >= 0) close(event->fd);
  free(event);
}

static bool record_step(void *state, int device, int *status) {
  (void)device, (void)status;
  Mark *mark = state;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  mark->event->marks->ms = 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
  mark->event->marks->passed = mark->mark;
  mark->event->users--;
  release_event(mark->event);
  return true;
}

static bool wait_step(void *state, int device, int *status) {
  (void)device, (void)status;
  Mark *mark = state;
  if (mark->event->marks->passed < mark->mark) return false;
  mark->event->users--;
  release_event(mark->event);
  return true;
}

static bool runnable(const Stream *stream) {
  const Operation *first = stream->first;
  if (!first) return false;
  const Mark *mark = (const Mark *)first->state;
  return first->step != wait_step || mark->event->marks->passed >= mark->mark;
}

static void advance(Stream *stream) {
  Operation *operation = stream->first;
  int status = device_status[stream->device];
  bool marks = operation->step == record_step || operation->step == wait_step;
  // On a device that has failed nothing runs any more, but marks let go of their events.
  if ((status == SUCCESS || marks) && !operation->step(operation->state, stream->device, &status)) {
    if (status == SUCCESS) return;
  }
  device_status[stream->device] = status;
  stream->first = operation->next;
  if (!stream->first) stream->last = &stream->first;
  free(operation);
}

static void sweep(void) {
  for (Stream **at = &streams; *at;) {
    Stream *stream = *at;
    if (!stream->dropped || stream->first) {
      at = &stream->next;
      continue;
    }
    *at = stream->next;
    free(stream);
  }
}

static void *drain(void *unused) {
  (void)unused;
  pthread_mutex_lock(&lock);
  for (;;) {
    uint32_t ready = 0, waiting = 0;
    for (Stream *s = streams; s; s = s->next) ready += runnable(s), waiting += s->first != NULL;
    uint32_t pause = ready == 0 ? 20 : draw(8) == 0 ? draw(longest_delay_us()) : 0;
    if (ready > 0 && pause == 0) {
      uint32_t turn = draw(ready);
      for (Stream *s = streams; s; s = s->next)
        if (runnable(s) && turn-- == 0) {
          advance(s);
          break;
        }
      sweep();
    }
    if (waiting == 0) {
      pthread_cond_wait(&changed, &lock);
    } else {
      // A stream that waits for another process's event is looked at again and again: nobody can wake this thread.
      pthread_mutex_unlock(&lock);
      if (pause > 0) usleep(pause);
      while (callers > 0) sched_yield();
      pthread_mutex_lock(&lock);
    }
  }
  return NULL;
}

int stream_make(Stream **stream) {
  static bool started;
  if (!started) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, drain, NULL) != 0) return OUT_OF_MEMORY;
    pthread_detach(thread);
    started = true;
  }
  Stream *made = calloc(1, sizeof *made);
  made->last = &made->first;
  made->device = current_device;
  made->next = streams;
  streams = *stream = made;
  live_streams++;
  return SUCCESS;
}

static bool known(const Stream *stream) {
  for (const Stream *s = streams; s; s = s->next)
    if (s == stream && !s->dropped) return true;
  return false;
}

int stream_drop(Stream *stream) {
  if (!known(stream)) return INVALID_HANDLE;
  stream->dropped = true;
  live_streams--;
  sweep();
  return SUCCESS;
}

int stream_state(Stream *stream) {
  if (!known(stream)) return INVALID_HANDLE;
  int status = device_status[stream->device];
  return status != SUCCESS ? status : stream->first ? NOT_READY : SUCCESS;
}

// NULL, the legacy stream, is refused: it waits for every other stream, which no transfer may do.
int stream_submit(Stream *stream, Step step, const void *state, size_t bytes) {
  if (!known(stream)) return INVALID_HANDLE;
  if (device_status[stream->device] != SUCCESS) return device_status[stream->device];
  Operation *operation = malloc(sizeof *operation + bytes);
  operation->step = step;
  operation->next = NULL;
  memcpy(operation->state, state, bytes);
  *stream->last = operation;
  stream->last = &operation->next;
  pthread_cond_signal(&changed);
  return SUCCESS;
}

int event_make(unsigned flags, Event **event) {
  if ((flags & INTERPROCESS) && !(flags & NO_TIMING)) return INVALID_VALUE;
  Event *made = calloc(1, sizeof *made);
  made->flags = flags;
  made->device = current_device;
  made->fd = memfd_create("kvwire stand-in event", MFD_CLOEXEC);
  if (made->fd < 0 || ftruncate(made->fd, sizeof *made->marks) != 0) return OUT_OF_MEMORY;
  made->marks = mmap(NULL, sizeof *made->marks, PROT_READ | PROT_WRITE, MAP_SHARED, made->fd, 0);
  if (!(flags & INTERPROCESS)) {
    close(made->fd);
    made->fd = -1;
  }
  *event = made;
  live_events++;
  return SUCCESS;
}

int event_drop(Event *event) {
  event->dropped = true;
  live_events--;
  release_event(event);
  return SUCCESS;
}

int event_state(Event *event) {
  int status = device_status[event->device];
  return status != SUCCESS ? status : event->marks->passed >= event->marks->recorded ? SUCCESS : NOT_READY;
}

int event_record(Event *event, Stream *stream) {
  Mark mark = {event, event->marks->recorded + 1};
  int status = stream_submit(stream, record_step, &mark, sizeof mark);
  if (status != SUCCESS) return status;
  event->marks->recorded = mark.mark;
  event->users++;
  return SUCCESS;
}

int event_wait(Stream *stream, Event *event) {
  Mark mark = {event, event->marks->recorded};
  int status = stream_submit(stream, wait_step, &mark, sizeof mark);
  if (status == SUCCESS) event->users++;
  return status;
}

int event_elapsed(float *ms, Event *start, Event *end) {
  if ((start->flags | end->flags) & NO_TIMING) return INVALID_HANDLE;
  if (event_state(start) != SUCCESS || event_state(end) != SUCCESS) return NOT_READY;
  *ms = (float)(end->marks->ms - start->marks->ms);
  return SUCCESS;
}

int event_export(Event *event, Handle *handle) {
  if (event->fd < 0) return INVALID_VALUE;
  Ticket ticket = {.magic = event_magic, .pid = getpid(), .fd = event->fd};
  memset(handle, 0, sizeof *handle);
  memcpy(handle, &ticket, sizeof ticket);
  return SUCCESS;
}

int event_import(const Handle *handle, Event **event) {
  Ticket ticket;
  memcpy(&ticket, handle, sizeof ticket);
  if (ticket.magic != event_magic) return INVALID_VALUE;
  int fd = open_ticket(&ticket);
  if (fd < 0) return MAP_FAILED_STATUS;
  Event *made = calloc(1, sizeof *made);
  made->flags = NO_TIMING | INTERPROCESS;
  made->device = current_device;
  made->fd = fd;
  made->marks = mmap(NULL, sizeof *made->marks, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  *event = made;
  live_events++;
  return SUCCESS;
}

int stream_count(void) { return live_streams; }
int event_count(void) { return live_events; }
