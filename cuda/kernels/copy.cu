// Copies and checksums over tables of runs. A table is arrays of doubles, the form in which transfer plans hold addresses,
// offsets and lengths: every integer below 2^53 is exact in them, so no plan has to be rewritten on the way to the GPU.

typedef unsigned int u32;
typedef unsigned long long u64;

static __device__ __forceinline__ char *pointer(double address) { return (char *)(u64)address; }

// `lanes` threads copy `bytes` bytes; `lane` is the caller's place among them. Four 16-byte loads are in flight per thread
// before the first store, because a peer's memory is microseconds away.
static __device__ __forceinline__ void copy_span(char *to, const char *from, u64 bytes, u32 lane, u32 lanes) {
  if ((((u64)to | (u64)from) & 15) == 0) {
    const uint4 *source = (const uint4 *)from;
    uint4 *target = (uint4 *)to;
    u64 words = bytes / 16, i = lane;
#pragma unroll 1
    for (; i + 3 * (u64)lanes < words; i += 4 * (u64)lanes) {
      uint4 a = __ldcs(source + i);
      uint4 b = __ldcs(source + i + lanes);
      uint4 c = __ldcs(source + i + 2 * (u64)lanes);
      uint4 d = __ldcs(source + i + 3 * (u64)lanes);
      __stcs(target + i, a);
      __stcs(target + i + lanes, b);
      __stcs(target + i + 2 * (u64)lanes, c);
      __stcs(target + i + 3 * (u64)lanes, d);
    }
#pragma unroll 1
    for (; i < words; i += lanes) __stcs(target + i, __ldcs(source + i));
#pragma unroll 1
    for (i = words * 16 + lane; i < bytes; i += lanes) to[i] = from[i];
  } else if ((((u64)to | (u64)from | bytes) & 3) == 0) {
#pragma unroll 4
    for (u64 i = lane; i < bytes / 4; i += lanes) ((u32 *)to)[i] = ((const u32 *)from)[i];
  } else {
#pragma unroll 1
    for (u64 i = lane; i < bytes; i += lanes) to[i] = from[i];
  }
}

// A table: runs in offsets, and buffers in which each of them is repeated, with their bases on both sides. first_tile has the
// number of tiles before each run, and of all of them behind the last.
struct Table {
  const double *destination, *source, *length, *first_tile, *destination_bases, *source_bases;
};

// The run that tile `tile` belongs to.
static __device__ __forceinline__ u32 run_of(const double *first_tile, u32 runs, u32 tile) {
  u32 low = 0, high = runs;
  while (high - low > 1) {
    u32 middle = (low + high) / 2;
    if (first_tile[middle] <= tile) low = middle;
    else high = middle;
  }
  return low;
}

// Tiles are dealt to teams of `lanes` threads (a power of two up to 32) in turn, buffer by buffer, so that long and short runs
// end together. A run is cut into equal tiles, whole cache lines but for the last.
extern "C" __global__ void __launch_bounds__(256)
kvwire_copy_runs(Table table, u32 runs, u32 buffers, u32 tiles, u32 lanes) {
  u32 thread = blockIdx.x * blockDim.x + threadIdx.x, lane = thread & (lanes - 1);
  u32 teams = gridDim.x * blockDim.x / lanes, items = tiles * buffers;
  for (u32 item = thread / lanes; item < items; item += teams) {
    u32 buffer = item / tiles, tile = item % tiles, run = run_of(table.first_tile, runs, tile);
    u32 first = table.first_tile[run], count = (u32)table.first_tile[run + 1] - first;
    u64 bytes = (u64)table.length[run];
    u32 lines = (bytes + 127) / 128, own = (lines + count - 1) / count;
    u64 start = (u64)(tile - first) * own * 128;
    if (start >= bytes) continue;
    copy_span(pointer(table.destination_bases[buffer] + table.destination[run]) + start,
              pointer(table.source_bases[buffer] + table.source[run]) + start,
              min((u64)own * 128, bytes - start), lane, lanes);
  }
}

// The runs begin blocks of `rows` rows of `row_bytes`, one every `source_pitch` and `destination_pitch` bytes: the heads that
// two tensor-parallel ranks share of every token of a page. The table's lengths are not read.
extern "C" __global__ void __launch_bounds__(256)
kvwire_copy_rows(Table table, u32 runs, u32 buffers, u32 rows, u32 lanes, u64 row_bytes, u64 destination_pitch,
                 u64 source_pitch) {
  u32 thread = blockIdx.x * blockDim.x + threadIdx.x, lane = thread & (lanes - 1);
  u32 teams = gridDim.x * blockDim.x / lanes, items = runs * buffers * rows;
  for (u32 item = thread / lanes; item < items; item += teams) {
    u32 block = item / rows, row = item % rows, run = block % runs, buffer = block / runs;
    copy_span(pointer(table.destination_bases[buffer] + table.destination[run]) + row * destination_pitch,
              pointer(table.source_bases[buffer] + table.source[run]) + row * source_pitch, row_bytes, lane, lanes);
  }
}

// result[i] = the sum over the bytes b of run i, at place p from 0, of mix(p * 256 + b), modulo 2^64: any changed, moved or
// missing byte changes it. One block a run at a time; splitmix64's finaliser mixes.
static __device__ __forceinline__ u64 mix(u64 z) {
  z += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

extern "C" __global__ void __launch_bounds__(256)
kvwire_checksum_runs(const double *address, const double *length, u32 count, u64 *result) {
  __shared__ u64 sum;
  for (u32 run = blockIdx.x; run < count; run += gridDim.x) {
    const unsigned char *from = (const unsigned char *)pointer(address[run]);
    u64 bytes = (u64)length[run], own = 0;
    if (threadIdx.x == 0) sum = 0;
    __syncthreads();
    for (u64 i = threadIdx.x; i < bytes; i += blockDim.x) own += mix(i * 256 + from[i]);
    atomicAdd(&sum, own);
    __syncthreads();
    if (threadIdx.x == 0) result[run] = sum;
    __syncthreads();
  }
}
