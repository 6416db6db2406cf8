/*
 * The limits of a transfer between two places of host memory, one answer a command: memcpy into a memfd, process_vm_writev
 * into another process, one TCP stream of sendmsg/recvmsg between two processes. Built and driven by limits.ts.
 *
 *   limits BYTES HUGE LAYOUT...     HUGE 0: 4 KiB pages, 1: 2 MiB pages; LAYOUT: block size, count, sources, destinations
 *
 * Reads lines "memcpy|writev|tcp CASE" and prints the seconds of one transfer; "memcpy-page N" and so on print the
 * microseconds of N single pages of 4 KiB, one a line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BATCH 1024
#define PAGE 4096

struct layout {
  uint64_t block, count;
  uint64_t *from, *to;
};

static size_t bytes;
static int huge;
static char *source, *shared, *remote;
static pid_t writev_child;
static int stream = -1, commands;
static struct layout *layouts;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

/* Aligned so that 2 MiB pages are possible, and touched. */
static char *map(int fd) {
  const size_t unit = 2ul << 20;
  char *span = mmap(0, bytes + unit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (span == MAP_FAILED) die("mmap");
  char *at = (char *)(((uintptr_t)span + unit - 1) & ~(unit - 1));
  int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
  if (mmap(at, bytes, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED) die("mmap");
  madvise(at, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  memset(at, 0, bytes);
  if (huge && fd >= 0) madvise(at, bytes, 25 /* MADV_COLLAPSE */);
  return at;
}

static void copy(const struct layout *l) {
  for (uint64_t i = 0; i < l->count; i++) memcpy(shared + l->to[i], source + l->from[i], l->block);
}

static void write_remote(const struct layout *l) {
  static struct iovec here[BATCH], there[BATCH];
  if (l->count == 1) {
    for (size_t done = 0; done < l->block;) {
      struct iovec a = {source + l->from[0] + done, l->block - done}, b = {remote + l->to[0] + done, l->block - done};
      ssize_t n = process_vm_writev(writev_child, &a, 1, &b, 1, 0);
      if (n <= 0) die("process_vm_writev");
      done += n;
    }
    return;
  }
  for (uint64_t i = 0; i < l->count; i += BATCH) {
    size_t n = l->count - i < BATCH ? l->count - i : BATCH;
    for (size_t k = 0; k < n; k++) {
      here[k] = (struct iovec){source + l->from[i + k], l->block};
      there[k] = (struct iovec){remote + l->to[i + k], l->block};
    }
    if (process_vm_writev(writev_child, here, n, there, n, 0) != (ssize_t)(n * l->block)) die("process_vm_writev");
  }
}

/* Moves a whole layout through the stream, `places` being where it stands on this side. */
static void move(int fd, char *base, const uint64_t *places, const struct layout *l, int sending) {
  static struct iovec v[BATCH];
  uint64_t block = 0;
  size_t into = 0;
  while (block < l->count) {
    size_t n = l->count - block < BATCH ? l->count - block : BATCH;
    for (size_t k = 0; k < n; k++) v[k] = (struct iovec){base + places[block + k], l->block};
    v[0].iov_base = (char *)v[0].iov_base + into;
    v[0].iov_len -= into;
    struct msghdr m = {.msg_iov = v, .msg_iovlen = n};
    ssize_t moved = sending ? sendmsg(fd, &m, 0) : recvmsg(fd, &m, 0);
    if (moved <= 0) die("stream");
    into += moved;
    block += into / l->block;
    into %= l->block;
  }
}

static void read_all(int fd, void *to, size_t n) {
  for (size_t done = 0; done < n;) {
    ssize_t got = read(fd, (char *)to + done, n - done);
    if (got <= 0) exit(0);
    done += got;
  }
}

static void stream_child(int fd) {
  static char page[PAGE];
  char *memory = map(-1), ack = 1;
  int32_t which;
  for (;;) {
    read_all(commands, &which, sizeof which);
    if (which >= 0) move(fd, memory, layouts[which].to, &layouts[which], 0);
    else for (int i = 0; i < -which; i++) {
      read_all(fd, page, PAGE);
      if (i + 1 < -which && write(fd, &ack, 1) != 1) die("ack");
    }
    if (write(fd, &ack, 1) != 1) die("ack");
  }
}

static void start_children(void) {
  int up[2], down[2], one = 1;
  if (pipe(up)) die("pipe");
  writev_child = fork();
  if (!writev_child) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char *memory = map(-1);
    if (write(up[1], &memory, sizeof memory) != sizeof memory) die("pipe");
    for (;;) pause();
  }
  read_all(up[0], &remote, sizeof remote);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof at;
  if (bind(listener, (void *)&at, sizeof at) || listen(listener, 1) || getsockname(listener, (void *)&at, &length)) die("listen");
  if (pipe(down)) die("pipe");
  if (!fork()) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(down[1]);
    commands = down[0];
    int fd = accept(listener, 0, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    stream_child(fd);
  }
  commands = down[1];
  stream = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(stream, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(stream, (void *)&at, sizeof at)) die("connect");
}

static void read_layout(const char *path, struct layout *l) {
  FILE *f = fopen(path, "r");
  if (!f || fread(l, 16, 1, f) != 1) die(path);
  l->from = malloc(l->count * 8);
  l->to = malloc(l->count * 8);
  if (fread(l->from, 8, l->count, f) != l->count || fread(l->to, 8, l->count, f) != l->count) die(path);
  fclose(f);
}

static void tell(int32_t what) {
  if (write(commands, &what, sizeof what) != sizeof what) die("pipe");
}

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  bytes = strtoull(argv[1], 0, 10);
  huge = atoi(argv[2]);
  layouts = calloc(argc, sizeof *layouts);
  for (int i = 3; i < argc; i++) read_layout(argv[i], &layouts[i - 3]);
  start_children();
  source = map(-1);
  for (size_t i = 0; i < bytes / 8; i++) ((uint64_t *)source)[i] = i * 0x9e3779b97f4a7c15ul;
  int memory = memfd_create("limit", 0);
  if (memory < 0 || ftruncate(memory, bytes)) die("memfd");
  shared = map(memory);
  printf("ready\n");
  fflush(stdout);
  char line[64], what[16];
  for (int which; fgets(line, sizeof line, stdin) && sscanf(line, "%15s %d", what, &which) == 2;) {
    char ack;
    double start = seconds();
    if (!strcmp(what, "memcpy")) copy(&layouts[which]);
    else if (!strcmp(what, "writev")) write_remote(&layouts[which]);
    else if (!strcmp(what, "tcp")) {
      tell(which);
      start = seconds();
      move(stream, source, layouts[which].from, &layouts[which], 1);
      read_all(stream, &ack, 1);
    } else {
      int tcp = !strcmp(what, "tcp-page");
      if (tcp) tell(-which);
      for (int i = 0; i < which; i++) {
        struct iovec a = {source + 5 * PAGE, PAGE}, b = {remote + 77 * PAGE, PAGE};
        double t = seconds();
        if (tcp) {
          if (write(stream, a.iov_base, PAGE) != PAGE) die("page");
          read_all(stream, &ack, 1);
        } else if (!strcmp(what, "memcpy-page")) memcpy(shared + 77 * PAGE, source + 5 * PAGE, PAGE);
        else if (process_vm_writev(writev_child, &a, 1, &b, 1, 0) != PAGE) die("page");
        printf("%.3f\n", (seconds() - t) * 1e6);
      }
      fflush(stdout);
      continue;
    }
    printf("%.9f\n", seconds() - start);
    fflush(stdout);
  }
  return 0;
}
