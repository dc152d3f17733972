/* A disk that fails: preloaded into a process, it stands between it and what it writes to files of a name.
 *
 * FAILING_DISK_NAME   part of the path of the files
 * FAILING_DISK_AFTER  how many writes go well
 * FAILING_DISK_HOW    cut: the power is cut amid the next write
 *                     eio, full: the next FAILING_DISK_FOR writes fail so, and those after them go well
 * FAILING_DISK_SEED   what chance begins with
 *
 * When the power is cut, a part of the last write has reached the disk. Of what was written to a file since it was
 * last synced, each write has or has not, in any order; where one has not, the disk holds what was there before.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef ssize_t (*pwrite_fn)(int, const void *, size_t, off_t);
typedef int (*sync_fn)(int);

struct unsynced {
    dev_t device;
    ino_t inode;
    int descriptor;
    off_t offset;
    size_t length;
    unsigned char *before;
    struct unsynced *earlier;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct unsynced *latest;
static long writes;

static pwrite_fn real_pwrite(void) { return (pwrite_fn)dlsym(RTLD_NEXT, "pwrite64"); }

static int is_watched(int descriptor) {
    const char *name = getenv("FAILING_DISK_NAME");
    char link[64], path[4096];
    ssize_t length;
    if (!name) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    /* What readers share is memory, and gone with the power. */
    return strstr(path, name) && !strstr(path, "-shm");
}

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

static void remember(int descriptor, size_t length, off_t offset) {
    struct unsynced *entry = malloc(sizeof *entry);
    struct stat status;
    fstat(descriptor, &status);
    entry->device = status.st_dev;
    entry->inode = status.st_ino;
    /* No duplicate: closing one would drop the locks that the process holds on the file. */
    entry->descriptor = descriptor;
    entry->offset = offset;
    entry->length = length;
    entry->before = calloc(1, length);
    if (pread(descriptor, entry->before, length, offset) < 0) memset(entry->before, 0, length);
    entry->earlier = latest;
    latest = entry;
}

static void forget(int descriptor) {
    struct unsynced **link = &latest;
    struct stat status;
    fstat(descriptor, &status);
    while (*link) {
        struct unsynced *entry = *link;
        if (entry->device == status.st_dev && entry->inode == status.st_ino) {
            *link = entry->earlier;
            free(entry->before);
            free(entry);
        } else {
            link = &entry->earlier;
        }
    }
}

static void cut_power(int descriptor, const void *data, size_t length, off_t offset) {
    struct unsynced *entry;
    srand48(number("FAILING_DISK_SEED"));
    real_pwrite()(descriptor, data, (size_t)(drand48() * (double)length), offset);
    for (entry = latest; entry; entry = entry->earlier) {
        struct stat status;
        int is_open = !fstat(entry->descriptor, &status) && status.st_ino == entry->inode;
        if (is_open && status.st_dev == entry->device && drand48() < 0.5)
            real_pwrite()(entry->descriptor, entry->before, entry->length, entry->offset);
    }
    _exit(77);
}

static ssize_t written(int descriptor, const void *data, size_t length, off_t offset) {
    const char *how = getenv("FAILING_DISK_HOW");
    long after = number("FAILING_DISK_AFTER");
    ssize_t result;
    if (!how || !is_watched(descriptor)) return real_pwrite()(descriptor, data, length, offset);
    pthread_mutex_lock(&lock);
    writes++;
    remember(descriptor, length, offset);
    if (writes > after && !strcmp(how, "cut")) cut_power(descriptor, data, length, offset);
    if (writes > after && writes <= after + number("FAILING_DISK_FOR")) {
        errno = strcmp(how, "full") ? EIO : ENOSPC;
        result = -1;
    } else {
        result = real_pwrite()(descriptor, data, length, offset);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

ssize_t pwrite64(int descriptor, const void *data, size_t length, off_t offset) {
    return written(descriptor, data, length, offset);
}

ssize_t pwrite(int descriptor, const void *data, size_t length, off_t offset) {
    return written(descriptor, data, length, offset);
}

static int synced(int descriptor, const char *name) {
    int result = ((sync_fn)dlsym(RTLD_NEXT, name))(descriptor);
    if (!result && getenv("FAILING_DISK_HOW") && is_watched(descriptor)) {
        pthread_mutex_lock(&lock);
        forget(descriptor);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int fsync(int descriptor) { return synced(descriptor, "fsync"); }

int fdatasync(int descriptor) { return synced(descriptor, "fdatasync"); }
