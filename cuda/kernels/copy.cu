// Copies and checksums over tables of runs. A table is three arrays of doubles, the form in which transfer plans hold
// addresses and lengths: every integer below 2^53 is exact in them, so no plan has to be rewritten on the way to the GPU.

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

// Run i: length[i] bytes from source[i] to destination[i]. `lanes` (a power of two up to 32) threads share a run, and the
// runs are shared by the threads of the grid's x; its y cuts every run into tiles of `tile` bytes (a multiple of 16).
extern "C" __global__ void __launch_bounds__(256)
kvwire_copy_runs(const double *destination, const double *source, const double *length, u32 count, u32 lanes, u64 tile) {
  u32 thread = blockIdx.x * blockDim.x + threadIdx.x;
  u32 lane = thread & (lanes - 1), teams = gridDim.x * blockDim.x / lanes;
  for (u32 run = thread / lanes; run < count; run += teams) {
    char *to = pointer(destination[run]);
    const char *from = pointer(source[run]);
    u64 bytes = (u64)length[run];
    for (u64 start = blockIdx.y * tile; start < bytes; start += gridDim.y * tile)
      copy_span(to + start, from + start, min(tile, bytes - start), lane, lanes);
  }
}

// Block i of rows: `rows` rows of `row_bytes`, one every `source_pitch` bytes from source[i] and one every
// `destination_pitch` from destination[i]: the heads that two tensor-parallel ranks share of every token of a page.
extern "C" __global__ void __launch_bounds__(256)
kvwire_copy_rows(const double *destination, const double *source, u32 count, u32 rows, u32 lanes, u64 row_bytes,
                 u64 destination_pitch, u64 source_pitch) {
  u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  u32 lane = thread & (lanes - 1);
  u64 teams = (u64)gridDim.x * blockDim.x / lanes;
  for (u64 item = thread / lanes; item < (u64)count * rows; item += teams) {
    u64 block = item / rows, row = item % rows;
    copy_span(pointer(destination[block]) + row * destination_pitch, pointer(source[block]) + row * source_pitch, row_bytes,
              lane, lanes);
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
