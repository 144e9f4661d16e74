/* A library that makes the writes and flushes of a program fail. If the program's folder contains the file "read-only",
 * writes fail with EROFS, as on a file system remounted read-only after an error; with "no-flush", flushes fail with EIO. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(const char *sign, int with) {
    int before = errno;
    if (access(sign, F_OK) == 0) {
        errno = with;
        return 1;
    }
    errno = before;
    return 0;
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    if (!next) next = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    return fails("read-only", EROFS) ? -1 : next(file, bytes, length, at);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) {
    return pwrite64(file, bytes, length, at);
}

int fdatasync(int file) {
    static int (*next)(int);
    if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return fails("no-flush", EIO) ? -1 : next(file);
}

int fsync(int file) {
    static int (*next)(int);
    if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return fails("no-flush", EIO) ? -1 : next(file);
}
