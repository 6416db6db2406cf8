// What streams carry out: copies, fills, and the kernels of cuda/kernels/copy.cu by name, a slice at a time, so that a
// process which is killed leaves a copy half done.
#include "stand-in.h"
#include <string.h>

enum { SLICE = 64 << 10 };

typedef struct {
  uintptr_t to, from;
  size_t bytes, done;
} Copy;

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

// One slice; true when nothing is left.
static bool copy_slice(Copy *copy, int device, int *status) {
  size_t slice = smaller(copy->bytes - copy->done, SLICE);
  void *to = memory_translate(copy->to + copy->done, slice, device);
  const void *from = memory_translate(copy->from + copy->done, slice, device);
  if (!to || !from) return *status = ILLEGAL_ADDRESS, false;
  memcpy(to, from, slice);
  return (copy->done += slice) == copy->bytes;
}

static bool copy_step(void *state, int device, int *status) {
  (void)device;
  Copy *copy = state;
  if (copy->done == 0 && (*status = demanded_failure("copy")) != SUCCESS) return false;
  return copy_slice(copy, -1, status);
}

int submit_copy(Stream *stream, void *to, const void *from, size_t bytes) {
  Copy copy = {(uintptr_t)to, (uintptr_t)from, bytes, 0};
  return stream_submit(stream, copy_step, &copy, sizeof copy);
}

typedef struct {
  uintptr_t to;
  int value;
  size_t bytes;
} Fill;

static bool fill_step(void *state, int device, int *status) {
  Fill *fill = state;
  void *to = memory_translate(fill->to, fill->bytes, device);
  if (!to) return *status = ILLEGAL_ADDRESS, false;
  memset(to, fill->value, fill->bytes);
  return true;
}

int submit_fill(Stream *stream, void *to, int value, size_t bytes) {
  Fill fill = {(uintptr_t)to, value, bytes};
  return stream_submit(stream, fill_step, &fill, sizeof fill);
}

// Element i of a table of doubles that the device can read. The table is read when the kernel runs, not when it is launched.
static bool element(uint64_t table, uint64_t i, int device, double *value) {
  const double *at = memory_translate(table + i * sizeof *value, sizeof *value, device);
  if (at) *value = *at;
  return at != NULL;
}

// The parameters of each kernel, as the compiler packs them.
typedef struct {
  uint64_t destination, source, length, first_tile, destination_bases, source_bases;
  uint32_t runs, buffers;
} Table;
typedef struct {
  Table table;
  uint32_t tiles, lanes;
} Runs;
typedef struct {
  Table table;
  uint32_t rows, lanes;
  uint64_t row_bytes, destination_pitch, source_pitch;
} Rows;
typedef struct {
  uint64_t address, length;
  uint32_t count;
  uint64_t result;
} Checksums;

typedef struct {
  const struct Kernel *kernel;
  uint64_t item;
  Copy copy;
  union {
    Runs runs;
    Rows rows;
    Checksums checksums;
  } parameters;
} Launch;

// Where item `item` of a table goes and comes from; false where the table cannot be read.
static bool ends(const Table *table, uint64_t item, int device, double *to, double *from) {
  uint64_t run = item % table->runs, buffer = item / table->runs;
  double to_base, from_base;
  if (!element(table->destination, run, device, to) || !element(table->source, run, device, from) ||
      !element(table->destination_bases, buffer, device, &to_base) || !element(table->source_bases, buffer, device, &from_base))
    return false;
  *to += to_base;
  *from += from_base;
  return true;
}

// Sets up the copy of one item; false where a table cannot be read. An item of no bytes is skipped by the caller.
static bool next_run(Launch *launch, int device) {
  const Table *table = &launch->parameters.runs.table;
  double to, from, bytes;
  if (!ends(table, launch->item, device, &to, &from) || !element(table->length, launch->item % table->runs, device, &bytes))
    return false;
  launch->copy = (Copy){(uintptr_t)to, (uintptr_t)from, (size_t)bytes, 0};
  return true;
}

static bool next_row(Launch *launch, int device) {
  const Rows *rows = &launch->parameters.rows;
  uint64_t block = launch->item / rows->rows, row = launch->item % rows->rows;
  double to, from;
  if (!ends(&rows->table, block, device, &to, &from)) return false;
  launch->copy = (Copy){(uintptr_t)to + row * rows->destination_pitch, (uintptr_t)from + row * rows->source_pitch,
                        rows->row_bytes, 0};
  return true;
}

static uint64_t table_items(const Table *table) { return (uint64_t)table->runs * table->buffers; }
static uint64_t run_items(const Launch *launch) { return table_items(&launch->parameters.runs.table); }
static uint64_t row_items(const Launch *launch) {
  return table_items(&launch->parameters.rows.table) * launch->parameters.rows.rows;
}
static uint64_t checksum_items(const Launch *launch) { return launch->parameters.checksums.count; }

static uint64_t mix(uint64_t z) {
  z += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// A checksum is done whole, with no copy behind it.
static bool next_checksum(Launch *launch, int device) {
  const Checksums *sums = &launch->parameters.checksums;
  double address, length;
  if (!element(sums->address, launch->item, device, &address) || !element(sums->length, launch->item, device, &length))
    return false;
  const unsigned char *from = memory_translate((uintptr_t)address, (size_t)length, device);
  uint64_t *to = memory_translate(sums->result + launch->item * sizeof *to, sizeof *to, device), sum = 0;
  if (!from || !to) return false;
  for (uint64_t i = 0; i < (uint64_t)length; i++) sum += mix(i * 256 + from[i]);
  *to = sum;
  launch->copy.bytes = launch->copy.done = 0;
  return true;
}

struct Kernel {
  const char *name;
  size_t parameter_bytes;
  uint64_t (*items)(const Launch *);
  bool (*next)(Launch *, int device);
};
static const struct Kernel kernels[] = {
    {"kvwire_copy_runs", sizeof(Runs), run_items, next_run},
    {"kvwire_copy_rows", sizeof(Rows), row_items, next_row},
    {"kvwire_checksum_runs", sizeof(Checksums), checksum_items, next_checksum},
};

const void *find_kernel(const char *name) {
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
    if (strcmp(kernels[i].name, name) == 0) return &kernels[i];
  return NULL;
}

// Small items are taken together until a slice is full.
static bool kernel_step(void *state, int device, int *status) {
  Launch *launch = state;
  if (launch->item == 0 && launch->copy.done == 0 && (*status = demanded_failure("kernel")) != SUCCESS) return false;
  for (size_t moved = 0; moved < SLICE;) {
    bool started = launch->copy.done < launch->copy.bytes;
    if (!started) {
      if (launch->item == launch->kernel->items(launch)) return true;
      if (!launch->kernel->next(launch, device)) return *status = ILLEGAL_ADDRESS, false;
      launch->item++;
    }
    moved += smaller(launch->copy.bytes - launch->copy.done, SLICE) + 64;
    if (launch->copy.bytes > 0) copy_slice(&launch->copy, device, status);
    if (*status != SUCCESS) return false;
  }
  return false;
}

int submit_kernel(Stream *stream, const void *kernel, const void *parameters, size_t bytes) {
  Launch launch = {.kernel = kernel};
  // The last parameter may leave the structure short of its padding.
  if (bytes > launch.kernel->parameter_bytes || bytes + 8 <= launch.kernel->parameter_bytes) return INVALID_VALUE;
  memcpy(&launch.parameters, parameters, bytes);
  return stream_submit(stream, kernel_step, &launch, sizeof launch);
}
